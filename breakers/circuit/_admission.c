/* What every call runs through, compiled: the same as breakers/circuit/admission_plain.py, which says what it means.

   All counters rely on the interpreter lock, which is why breakers.circuit.admission never loads this module on
   free-threaded Python. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <math.h>
#include <time.h>

/* The layout of breakers.circuit.histogram. */
#define SCALE 8
#define LOWEST (-160)
#define HIGHEST 136

/* Which text this was built from, so that breakers.circuit.admission can tell an old build: set by setup.py. */
#ifndef SOURCE
#define SOURCE 0UL
#endif

#define BUCKETS (HIGHEST - LOWEST + 1)

/* At most this many successes wait in an entry, so that no bucket overflows. */
#define MOST (1LL << 31)

static PyObject *circuit_breaker_open;
static PyObject *time_monotonic;
static PyObject *name_admit, *name_flush, *name_returned, *name_failed, *name_merge;

/* -- Latencies ------------------------------------------------------------------------------- */

static int
bucket_of(double seconds)
{
    static double least = 0.0, most = 0.0;
    if (least == 0.0) {
        least = exp2((LOWEST + 1) / (double)SCALE);
        most = exp2(HIGHEST / (double)SCALE);
    }
    if (seconds > most) {
        return HIGHEST;
    }
    if (seconds > least) {
        return (int)ceil(log2(seconds) * SCALE) - 1;
    }
    return LOWEST;
}

PyDoc_STRVAR(tally_doc,
             "tally(counts, first, latencies, /)\n--\n\n"
             "Count each latency's bucket; return those outside of `counts`, or None.");

static PyObject *
tally(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyList_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "tally takes an array('Q'), an int and a list");
        return NULL;
    }
    long first = PyLong_AsLong(args[1]);
    if (first == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_WRITABLE | PyBUF_FORMAT) < 0) {
        return NULL;
    }
    PyObject *beyond = NULL;
    if (view.itemsize != sizeof(unsigned long long) || view.format == NULL ||
        view.format[0] != 'Q') {
        PyErr_SetString(PyExc_TypeError, "counts must be an array('Q')");
        goto failed;
    }
    unsigned long long *counts = view.buf;
    Py_ssize_t size = view.len / view.itemsize;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[2]); i++) {
        PyObject *item = PyList_GET_ITEM(args[2], i);
        double seconds = PyFloat_AsDouble(item);
        if (seconds == -1.0 && PyErr_Occurred()) {
            goto failed;
        }
        Py_ssize_t at = (Py_ssize_t)bucket_of(seconds) - first;
        if (at >= 0 && at < size) {
            counts[at]++;
            continue;
        }
        if (beyond == NULL && (beyond = PyList_New(0)) == NULL) {
            goto failed;
        }
        if (PyList_Append(beyond, item) < 0) {
            goto failed;
        }
    }
    PyBuffer_Release(&view);
    if (beyond == NULL) {
        Py_RETURN_NONE;
    }
    return beyond;
failed:
    Py_XDECREF(beyond);
    PyBuffer_Release(&view);
    return NULL;
}

/* -- Entry ----------------------------------------------------------------------------------- */

/* Successes wait in buckets: whoever finds the breaker's lock taken goes on, so there may be very
   many, and they take the same room. */
typedef struct {
    PyObject_HEAD
    double plain_below, edge, lease, sum;
    long long n, due;
    int batch, lowest, highest;
    unsigned int waiting[BUCKETS];
} Entry;

static PyTypeObject *entry_type;

static void
entry_empty(Entry *entry)
{
    if (entry->n > 0) {
        memset(entry->waiting + entry->lowest, 0,
               sizeof(entry->waiting[0]) * (size_t)(entry->highest - entry->lowest + 1));
    }
    entry->n = 0;
    entry->sum = 0.0;
    entry->lowest = BUCKETS;
    entry->highest = -1;
    entry->due = entry->batch;
}

static void
entry_add(Entry *entry, double elapsed)
{
    int at = bucket_of(elapsed) - LOWEST;
    entry->waiting[at]++;
    entry->sum += elapsed;
    entry->n++;
    if (at < entry->lowest) {
        entry->lowest = at;
    }
    if (at > entry->highest) {
        entry->highest = at;
    }
}

static int
entry_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"plain_below", "edge", "batch", "lease", NULL};
    Entry *entry = (Entry *)self;
    entry->lease = 0.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ddi|d", names, &entry->plain_below,
                                     &entry->edge, &entry->batch, &entry->lease)) {
        return -1;
    }
    entry_empty(entry);
    return 0;
}

static void
entry_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
entry_renew(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Entry *entry = (Entry *)self;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "renew takes an edge and a batch");
        return NULL;
    }
    double edge = PyFloat_AsDouble(args[0]);
    long batch = PyLong_AsLong(args[1]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    entry->edge = edge;
    entry->batch = (int)batch;
    entry->due = batch;
    Py_RETURN_NONE;
}

static PyObject *
entry_pour(PyObject *self, PyObject *sketch)
{
    /* Everything is taken before any Python runs, which may add to it: a new object may set the
       garbage collector off. */
    Entry taken = *(Entry *)self;
    entry_empty((Entry *)self);
    if (taken.n == 0) {
        return PyLong_FromLong(0);
    }
    PyObject *sum = PyFloat_FromDouble(taken.sum), *buckets = PyDict_New(), *done = NULL;
    int is_whole = sum != NULL && buckets != NULL;
    for (int at = taken.lowest; is_whole && at <= taken.highest; at++) {
        if (taken.waiting[at] == 0) {
            continue;
        }
        PyObject *index = PyLong_FromLong(at + LOWEST);
        PyObject *count = PyLong_FromUnsignedLong(taken.waiting[at]);
        is_whole = index != NULL && count != NULL && PyDict_SetItem(buckets, index, count) == 0;
        Py_XDECREF(index);
        Py_XDECREF(count);
    }
    if (is_whole) {
        PyObject *args[] = {sketch, buckets, sum};
        done = PyObject_VectorcallMethod(name_merge, args, 3, NULL);
    }
    Py_XDECREF(sum);
    Py_XDECREF(buckets);
    if (done == NULL) {
        return NULL;
    }
    Py_DECREF(done);
    return PyLong_FromLongLong(taken.n);
}

static PyObject *
entry_is_full(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Entry *)self)->n >= MOST);
}

static PyMemberDef entry_members[] = {
    {"plain_below", T_DOUBLE, offsetof(Entry, plain_below), READONLY, NULL},
    {"edge", T_DOUBLE, offsetof(Entry, edge), READONLY, NULL},
    {"lease", T_DOUBLE, offsetof(Entry, lease), READONLY, NULL},
    {"batch", T_INT, offsetof(Entry, batch), READONLY, NULL},
    {NULL}};

static PyGetSetDef entry_getset[] = {
    {"is_full", entry_is_full, NULL, "Whether no more may wait.", NULL}, {NULL}};

static PyMethodDef entry_methods[] = {
    {"renew", (PyCFunction)(void (*)(void))entry_renew, METH_FASTCALL,
     "renew($self, edge, batch, /)\n--\n\n"
     "Until when, and how many, successes may wait from here on."},
    {"pour", entry_pour, METH_O,
     "pour($self, sketch, /)\n--\n\n"
     "Move the latencies that wait into `sketch`, once each; returns how many there were."},
    {NULL}};

static PyType_Slot entry_slots[] = {
    {Py_tp_doc, "The ticket of a call that was let in."},
    {Py_tp_init, entry_init},
    {Py_tp_dealloc, entry_dealloc},
    {Py_tp_members, entry_members},
    {Py_tp_getset, entry_getset},
    {Py_tp_methods, entry_methods},
    {0, NULL}};

static PyType_Spec entry_spec = {
    .name = "breakers.circuit._admission.Entry",
    .basicsize = sizeof(Entry),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = entry_slots,
};

/* -- Gate ------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *entry;   /* an Entry, or None */
    PyObject *name;
    PyObject *now;
    int is_system_clock;
    double refusing_until;
    unsigned long long starts, refusals;
} Gate;

static PyObject *
gate_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Gate *gate = (Gate *)type->tp_alloc(type, 0);
    if (gate == NULL) {
        return NULL;
    }
    gate->entry = Py_NewRef(Py_None);
    gate->name = PyUnicode_FromString("");
    gate->now = Py_NewRef(time_monotonic);
#ifdef __linux__
    gate->is_system_clock = 1;
#endif
    gate->refusing_until = -Py_HUGE_VAL;
    return (PyObject *)gate;
}

/* What stands on the gate takes its own arguments. */
static int
gate_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static int
gate_traverse(PyObject *self, visitproc visit, void *arg)
{
    Gate *gate = (Gate *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(gate->entry);
    Py_VISIT(gate->name);
    Py_VISIT(gate->now);
    return 0;
}

static int
gate_clear(PyObject *self)
{
    /* Whoever is collected later may still call: nothing is left NULL. */
    Gate *gate = (Gate *)self;
    Py_XSETREF(gate->entry, Py_NewRef(Py_None));
    Py_XSETREF(gate->name, Py_NewRef(Py_None));
    Py_XSETREF(gate->now, Py_NewRef(time_monotonic));
    return 0;
}

static void
gate_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Gate *)self)->entry);
    Py_CLEAR(((Gate *)self)->name);
    Py_CLEAR(((Gate *)self)->now);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The breaker's clock, into `*at`. On Linux the system's clock is read without a detour, by the
   same arithmetic as time.monotonic. */
static int
read_clock(Gate *gate, double *at)
{
#ifdef __linux__
    if (gate->is_system_clock) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        *at = (double)((long long)now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
        return 0;
    }
#endif
    PyObject *reading = PyObject_CallNoArgs(gate->now);
    if (reading == NULL) {
        return -1;
    }
    *at = PyFloat_AsDouble(reading);
    Py_DECREF(reading);
    return *at == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* Let a call in, as a new reference to its entry; NULL where it is refused. */
static Entry *
admit(Gate *gate)
{
    PyObject *entry = gate->entry;
    if (entry != Py_None) {
        gate->starts++;
        return (Entry *)Py_NewRef(entry);
    }
    double now;
    if (read_clock(gate, &now) < 0) {
        return NULL;
    }
    double left = gate->refusing_until - now;
    if (left > 0) {
        gate->refusals++;
        PyObject *seconds = PyFloat_FromDouble(left);
        if (seconds == NULL) {
            return NULL;
        }
        PyObject *args[] = {gate->name != NULL ? gate->name : Py_None, seconds};
        PyObject *error = PyObject_Vectorcall(circuit_breaker_open, args, 2, NULL);
        Py_DECREF(seconds);
        if (error != NULL) {
            PyErr_SetObject(circuit_breaker_open, error);
            Py_DECREF(error);
        }
        return NULL;
    }
    entry = PyObject_CallMethodNoArgs((PyObject *)gate, name_admit);
    if (entry == NULL) {
        return NULL;
    }
    if (!Py_IS_TYPE(entry, entry_type)) {
        Py_DECREF(entry);
        PyErr_SetString(PyExc_TypeError, "_admit must return an Entry");
        return NULL;
    }
    gate->starts++;
    return (Entry *)entry;
}

/* Let a plain success wait to be counted. -1 with an error set where counting fails. */
static int
passed(Gate *gate, Entry *entry, double now, double elapsed)
{
    entry_add(entry, elapsed);
    if (entry->n < entry->due && now < entry->edge && (PyObject *)entry == gate->entry) {
        return 0;
    }
    entry->due = entry->n + entry->batch;
    PyObject *at = PyFloat_FromDouble(now);
    if (at == NULL) {
        return -1;
    }
    PyObject *args[] = {(PyObject *)gate, (PyObject *)entry, at};
    PyObject *done = PyObject_VectorcallMethod(name_flush, args, 3, NULL);
    Py_DECREF(at);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Count a call that returned. -1 with an error set where that fails. */
static int
returned(Gate *gate, Entry *entry, double start, PyObject *result)
{
    double end;
    if (read_clock(gate, &end) < 0) {
        return -1;
    }
    double elapsed = end - start;
    if (elapsed < entry->plain_below) {
        return passed(gate, entry, end, elapsed);
    }
    PyObject *done = NULL;
    PyObject *at = PyFloat_FromDouble(end), *took = PyFloat_FromDouble(elapsed);
    if (at != NULL && took != NULL) {
        PyObject *args[] = {(PyObject *)gate, (PyObject *)entry, at, took, result};
        done = PyObject_VectorcallMethod(name_returned, args, 5, NULL);
    }
    Py_XDECREF(at);
    Py_XDECREF(took);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Count a call that raised `error`. */
static int
failed(Gate *gate, Entry *entry, double start, PyObject *error)
{
    double end;
    if (read_clock(gate, &end) < 0) {
        return -1;
    }
    PyObject *done = NULL;
    PyObject *at = PyFloat_FromDouble(end), *began = PyFloat_FromDouble(start);
    if (at != NULL && began != NULL) {
        PyObject *args[] = {(PyObject *)gate, (PyObject *)entry, at, began, error};
        done = PyObject_VectorcallMethod(name_failed, args, 5, NULL);
    }
    Py_XDECREF(at);
    Py_XDECREF(began);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    return 0;
}

PyDoc_STRVAR(call_doc,
             "call($self, func, /, *args, **kwargs)\n--\n\n"
             "Call `func` if the breaker lets it.\n\n"
             "Raises:\n"
             "    CircuitBreakerOpen: the breaker refused, `CircuitForcedOpen` if an operator did.\n"
             "    Exception: whatever `func` raises, or what `map_errors` puts in its place.");

static PyObject *
gate_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    Gate *gate = (Gate *)self;
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError, "call needs the function to call");
        return NULL;
    }
    Entry *entry = admit(gate);
    if (entry == NULL) {
        return NULL;
    }
    double start;
    if (read_clock(gate, &start) < 0) {
        Py_DECREF(entry);
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(args[0], args + 1, nargs - 1, names);
    if (result != NULL) {
        if (returned(gate, entry, start, result) < 0) {
            Py_CLEAR(result);
        }
        Py_DECREF(entry);
        return result;
    }
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
    }
    if (failed(gate, entry, start, error) < 0) {
        /* What takes its place, or went wrong in counting, has the callee's own as its context. */
        PyObject *kind2, *error2, *trace2;
        PyErr_Fetch(&kind2, &error2, &trace2);
        PyErr_NormalizeException(&kind2, &error2, &trace2);
        if (error2 != error) {
            PyException_SetContext(error2, Py_NewRef(error));
        }
        PyErr_Restore(kind2, error2, trace2);
        Py_XDECREF(kind);
        Py_XDECREF(error);
        Py_XDECREF(trace);
    }
    else {
        PyErr_Restore(kind, error, trace);
    }
    Py_DECREF(entry);
    return NULL;
}

PyDoc_STRVAR(enter_doc,
             "enter($self, /)\n--\n\n"
             "Ask for a permit; give what it returns back to `leave`. For integrations.\n\n"
             "Raises:\n"
             "    CircuitBreakerOpen: the breaker refused.");

static PyObject *
gate_enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Gate *gate = (Gate *)self;
    Entry *entry = admit(gate);
    if (entry == NULL) {
        return NULL;
    }
    double start;
    PyObject *seconds = read_clock(gate, &start) < 0 ? NULL : PyFloat_FromDouble(start);
    PyObject *pair = seconds == NULL ? NULL : PyTuple_New(2);
    if (pair == NULL) {
        Py_XDECREF(seconds);
        Py_DECREF(entry);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, (PyObject *)entry);
    PyTuple_SET_ITEM(pair, 1, seconds);
    return pair;
}

PyDoc_STRVAR(leave_doc,
             "leave($self, entry, start, error=None, result=None)\n--\n\n"
             "Say how the call that `enter` let in went.\n\n"
             "Raises:\n"
             "    Exception: what the breaker's `map_errors` puts in the place of `error`.");

static PyObject *
gate_leave(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    static const char *const known[] = {"entry", "start", "error", "result"};
    PyObject *given[4] = {NULL, NULL, Py_None, Py_None};
    if (nargs > 4) {
        PyErr_SetString(PyExc_TypeError, "leave takes entry, start, error and result");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        given[i] = args[i];
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int at = 0;
        while (at < 4 && PyUnicode_CompareWithASCIIString(name, known[at]) != 0) {
            at++;
        }
        if (at == 4 || at < nargs) {
            PyErr_Format(PyExc_TypeError, "leave got an unexpected argument %R", name);
            return NULL;
        }
        given[at] = args[nargs + i];
    }
    if (given[0] == NULL || given[1] == NULL || !Py_IS_TYPE(given[0], entry_type)) {
        PyErr_SetString(PyExc_TypeError, "leave needs the entry and the start that enter returned");
        return NULL;
    }
    double start = PyFloat_AsDouble(given[1]);
    if (start == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    Gate *gate = (Gate *)self;
    Entry *entry = (Entry *)given[0];
    int done = given[2] != Py_None ? failed(gate, entry, start, given[2])
                                   : returned(gate, entry, start, given[3]);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
gate_passed(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !Py_IS_TYPE(args[0], entry_type)) {
        PyErr_SetString(PyExc_TypeError, "_passed takes an Entry, a time and a latency");
        return NULL;
    }
    double now = PyFloat_AsDouble(args[1]), elapsed = PyFloat_AsDouble(args[2]);
    if (PyErr_Occurred() || passed((Gate *)self, (Entry *)args[0], now, elapsed) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
gate_refused(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Gate *)self)->refusals++;
    Py_RETURN_NONE;
}

static PyObject *
gate_reset_tallies(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Gate *)self)->starts = ((Gate *)self)->refusals = 0;
    Py_RETURN_NONE;
}

static PyObject *
take(unsigned long long *counter)
{
    unsigned long long n = *counter;
    *counter = 0;
    return PyLong_FromUnsignedLongLong(n);
}

static PyObject *
gate_take_starts(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Gate *)self)->starts);
}

static PyObject *
gate_take_refusals(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Gate *)self)->refusals);
}

static PyObject *
gate_get_entry(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Gate *)self)->entry);
}

static int
gate_set_entry(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || (value != Py_None && !Py_IS_TYPE(value, entry_type))) {
        PyErr_SetString(PyExc_TypeError, "_entry must be an Entry or None");
        return -1;
    }
    Py_SETREF(((Gate *)self)->entry, Py_NewRef(value));
    return 0;
}

static PyObject *
gate_get_now(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Gate *)self)->now);
}

static int
gate_set_now(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyCallable_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_now must be a function");
        return -1;
    }
    Gate *gate = (Gate *)self;
    gate->is_system_clock = value == time_monotonic;
    Py_SETREF(gate->now, Py_NewRef(value));
    return 0;
}

static PyMemberDef gate_members[] = {
    {"name", T_OBJECT_EX, offsetof(Gate, name), 0, NULL},
    {"_refusing_until", T_DOUBLE, offsetof(Gate, refusing_until), 0, NULL},
    {NULL}};

static PyGetSetDef gate_getset[] = {
    {"_entry", gate_get_entry, gate_set_entry, NULL, NULL},
    {"_now", gate_get_now, gate_set_now, NULL, NULL},
    {NULL}};

static PyMethodDef gate_methods[] = {
    {"call", (PyCFunction)(void (*)(void))gate_call, METH_FASTCALL | METH_KEYWORDS, call_doc},
    {"enter", gate_enter, METH_NOARGS, enter_doc},
    {"leave", (PyCFunction)(void (*)(void))gate_leave, METH_FASTCALL | METH_KEYWORDS, leave_doc},
    {"_passed", (PyCFunction)(void (*)(void))gate_passed, METH_FASTCALL, NULL},
    {"_refused", gate_refused, METH_NOARGS, NULL},
    {"_reset_tallies", gate_reset_tallies, METH_NOARGS, NULL},
    {"_take_starts", gate_take_starts, METH_NOARGS, NULL},
    {"_take_refusals", gate_take_refusals, METH_NOARGS, NULL},
    {NULL}};

static PyType_Slot gate_slots[] = {
    {Py_tp_doc, "The ways in and out of a breaker."},
    {Py_tp_new, gate_new},
    {Py_tp_init, gate_init},
    {Py_tp_traverse, gate_traverse},
    {Py_tp_clear, gate_clear},
    {Py_tp_dealloc, gate_dealloc},
    {Py_tp_members, gate_members},
    {Py_tp_getset, gate_getset},
    {Py_tp_methods, gate_methods},
    {0, NULL}};

static PyType_Spec gate_spec = {
    .name = "breakers.circuit._admission.Gate",
    .basicsize = sizeof(Gate),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = gate_slots,
};

/* -- The module ------------------------------------------------------------------------------ */

static PyMethodDef functions[] = {
    {"tally", (PyCFunction)(void (*)(void))tally, METH_FASTCALL, tally_doc}, {NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "breakers.circuit._admission",
    .m_doc = "What every call runs through, compiled.",
    .m_size = -1,
    .m_methods = functions,
};

static PyObject *
attribute_of(const char *module, const char *name)
{
    PyObject *found = PyImport_ImportModule(module);
    if (found == NULL) {
        return NULL;
    }
    PyObject *value = PyObject_GetAttrString(found, name);
    Py_DECREF(found);
    return value;
}

PyMODINIT_FUNC
PyInit__admission(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    circuit_breaker_open = attribute_of("breakers.errors", "CircuitBreakerOpen");
    time_monotonic = attribute_of("time", "monotonic");
    name_admit = PyUnicode_InternFromString("_admit");
    name_flush = PyUnicode_InternFromString("_flush");
    name_returned = PyUnicode_InternFromString("_returned");
    name_failed = PyUnicode_InternFromString("_failed");
    name_merge = PyUnicode_InternFromString("merge");
    entry_type = (PyTypeObject *)PyType_FromSpec(&entry_spec);
    PyObject *gate_type = PyType_FromSpec(&gate_spec);
    if (circuit_breaker_open == NULL || time_monotonic == NULL || name_admit == NULL ||
        name_flush == NULL || name_returned == NULL || name_failed == NULL || name_merge == NULL ||
        entry_type == NULL || gate_type == NULL ||
        PyModule_AddObjectRef(module, "Entry", (PyObject *)entry_type) < 0 ||
        PyModule_AddObjectRef(module, "Gate", gate_type) < 0 ||
        PyModule_AddObject(module, "SOURCE", PyLong_FromUnsignedLong(SOURCE)) < 0) {
        Py_XDECREF(gate_type);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(gate_type);
    return module;
}
