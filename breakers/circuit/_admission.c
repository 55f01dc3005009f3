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

/* At most this many successes wait in an ticket, so that no bucket overflows. */
#define MOST (1LL << 31)

static PyObject *circuit_breaker_open;
static PyObject *time_monotonic;
static PyObject *name_admit, *name_flush, *name_returned, *name_failed, *name_merge;
static PyObject *name_returned_awaitable;

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
             "count_latencies(counts, first, latencies, /)\n--\n\n"
             "Count each latency's bucket; return those outside of `counts`, or None.");

static PyObject *
count_latencies(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyList_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "count_latencies takes an array('Q'), an int and a list");
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

/* -- Ticket ----------------------------------------------------------------------------------- */

/* Successes wait in buckets: whoever finds the breaker's lock taken goes on, so there may be very
   many, and they take the same room. */
typedef struct {
    PyObject_HEAD
    double plain_below, edge, lease, sum;
    long long n, due;
    int batch, lowest, highest;
    unsigned int waiting[BUCKETS];
} Ticket;

static PyTypeObject *ticket_type;

static void
ticket_empty(Ticket *ticket)
{
    if (ticket->n > 0) {
        memset(ticket->waiting + ticket->lowest, 0,
               sizeof(ticket->waiting[0]) * (size_t)(ticket->highest - ticket->lowest + 1));
    }
    ticket->n = 0;
    ticket->sum = 0.0;
    ticket->lowest = BUCKETS;
    ticket->highest = -1;
    ticket->due = ticket->batch;
}

static void
ticket_add(Ticket *ticket, double elapsed)
{
    int at = bucket_of(elapsed) - LOWEST;
    ticket->waiting[at]++;
    ticket->sum += elapsed;
    ticket->n++;
    if (at < ticket->lowest) {
        ticket->lowest = at;
    }
    if (at > ticket->highest) {
        ticket->highest = at;
    }
}

static int
ticket_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"plain_below", "edge", "batch", "lease", NULL};
    Ticket *ticket = (Ticket *)self;
    ticket->lease = 0.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ddi|d", names, &ticket->plain_below,
                                     &ticket->edge, &ticket->batch, &ticket->lease)) {
        return -1;
    }
    ticket_empty(ticket);
    return 0;
}

static void
ticket_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
ticket_renew(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Ticket *ticket = (Ticket *)self;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "renew takes an edge and a batch");
        return NULL;
    }
    double edge = PyFloat_AsDouble(args[0]);
    long batch = PyLong_AsLong(args[1]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    ticket->edge = edge;
    ticket->batch = (int)batch;
    ticket->due = batch;
    Py_RETURN_NONE;
}

static PyObject *
ticket_pour(PyObject *self, PyObject *sketch)
{
    /* Everything is taken before any Python runs, which may add to it: a new object may set the
       garbage collector off. */
    Ticket taken = *(Ticket *)self;
    ticket_empty((Ticket *)self);
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
ticket_is_full(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Ticket *)self)->n >= MOST);
}

static PyMemberDef ticket_members[] = {
    {"plain_below", T_DOUBLE, offsetof(Ticket, plain_below), READONLY, NULL},
    {"edge", T_DOUBLE, offsetof(Ticket, edge), READONLY, NULL},
    {"lease", T_DOUBLE, offsetof(Ticket, lease), READONLY, NULL},
    {"batch", T_INT, offsetof(Ticket, batch), READONLY, NULL},
    {NULL}};

static PyGetSetDef ticket_getset[] = {
    {"is_full", ticket_is_full, NULL, "Whether no more may wait.", NULL}, {NULL}};

static PyMethodDef ticket_methods[] = {
    {"renew", (PyCFunction)(void (*)(void))ticket_renew, METH_FASTCALL,
     "renew($self, edge, batch, /)\n--\n\n"
     "Until when, and how many, successes may wait from here on."},
    {"pour", ticket_pour, METH_O,
     "pour($self, sketch, /)\n--\n\n"
     "Move the latencies that wait into `sketch`, once each; returns how many there were."},
    {NULL}};

static PyType_Slot ticket_slots[] = {
    {Py_tp_doc, "The ticket of a call that was let in."},
    {Py_tp_init, ticket_init},
    {Py_tp_dealloc, ticket_dealloc},
    {Py_tp_members, ticket_members},
    {Py_tp_getset, ticket_getset},
    {Py_tp_methods, ticket_methods},
    {0, NULL}};

static PyType_Spec ticket_spec = {
    .name = "breakers.circuit._admission.Ticket",
    .basicsize = sizeof(Ticket),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ticket_slots,
};

/* -- Admission ------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *ticket;   /* an Ticket, or None */
    PyObject *name;
    PyObject *now;
    int is_system_clock;
    double refusing_until;
    unsigned long long starts, refusals;
} Admission;

static PyObject *
admission_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Admission *admission = (Admission *)type->tp_alloc(type, 0);
    if (admission == NULL) {
        return NULL;
    }
    admission->ticket = Py_NewRef(Py_None);
    admission->name = PyUnicode_FromString("");
    admission->now = Py_NewRef(time_monotonic);
#ifdef __linux__
    admission->is_system_clock = 1;
#endif
    admission->refusing_until = -Py_HUGE_VAL;
    return (PyObject *)admission;
}

/* What stands on the admission takes its own arguments. */
static int
admission_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static int
admission_traverse(PyObject *self, visitproc visit, void *arg)
{
    Admission *admission = (Admission *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(admission->ticket);
    Py_VISIT(admission->name);
    Py_VISIT(admission->now);
    return 0;
}

static int
admission_clear(PyObject *self)
{
    /* Whoever is collected later may still call: nothing is left NULL. */
    Admission *admission = (Admission *)self;
    Py_XSETREF(admission->ticket, Py_NewRef(Py_None));
    Py_XSETREF(admission->name, Py_NewRef(Py_None));
    Py_XSETREF(admission->now, Py_NewRef(time_monotonic));
    return 0;
}

static void
admission_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Admission *)self)->ticket);
    Py_CLEAR(((Admission *)self)->name);
    Py_CLEAR(((Admission *)self)->now);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The breaker's clock, into `*at`. On Linux the system's clock is read without a detour, by the
   same arithmetic as time.monotonic. */
static int
read_clock(Admission *admission, double *at)
{
#ifdef __linux__
    if (admission->is_system_clock) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        *at = (double)((long long)now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
        return 0;
    }
#endif
    PyObject *reading = PyObject_CallNoArgs(admission->now);
    if (reading == NULL) {
        return -1;
    }
    *at = PyFloat_AsDouble(reading);
    Py_DECREF(reading);
    return *at == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* Let a call in, as a new reference to its ticket; NULL where it is refused. */
static Ticket *
admit(Admission *admission)
{
    PyObject *ticket = admission->ticket;
    if (ticket != Py_None) {
        admission->starts++;
        return (Ticket *)Py_NewRef(ticket);
    }
    double now;
    if (read_clock(admission, &now) < 0) {
        return NULL;
    }
    double left = admission->refusing_until - now;
    if (left > 0) {
        admission->refusals++;
        PyObject *seconds = PyFloat_FromDouble(left);
        if (seconds == NULL) {
            return NULL;
        }
        PyObject *args[] = {admission->name != NULL ? admission->name : Py_None, seconds};
        PyObject *error = PyObject_Vectorcall(circuit_breaker_open, args, 2, NULL);
        Py_DECREF(seconds);
        if (error != NULL) {
            PyErr_SetObject(circuit_breaker_open, error);
            Py_DECREF(error);
        }
        return NULL;
    }
    ticket = PyObject_CallMethodNoArgs((PyObject *)admission, name_admit);
    if (ticket == NULL) {
        return NULL;
    }
    if (!Py_IS_TYPE(ticket, ticket_type)) {
        Py_DECREF(ticket);
        PyErr_SetString(PyExc_TypeError, "_admit must return an Ticket");
        return NULL;
    }
    admission->starts++;
    return (Ticket *)ticket;
}

/* Let a plain success wait to be counted. -1 with an error set where counting fails. */
static int
passed(Admission *admission, Ticket *ticket, double now, double elapsed)
{
    ticket_add(ticket, elapsed);
    if (ticket->n < ticket->due && now < ticket->edge && (PyObject *)ticket == admission->ticket) {
        return 0;
    }
    ticket->due = ticket->n + ticket->batch;
    PyObject *at = PyFloat_FromDouble(now);
    if (at == NULL) {
        return -1;
    }
    PyObject *args[] = {(PyObject *)admission, (PyObject *)ticket, at};
    PyObject *done = PyObject_VectorcallMethod(name_flush, args, 3, NULL);
    Py_DECREF(at);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Count a call that returned. -1 with an error set where that fails. */
static int
returned(Admission *admission, Ticket *ticket, double start, PyObject *result)
{
    double end;
    if (read_clock(admission, &end) < 0) {
        return -1;
    }
    double elapsed = end - start;
    if (elapsed < ticket->plain_below) {
        return passed(admission, ticket, end, elapsed);
    }
    PyObject *done = NULL;
    PyObject *at = PyFloat_FromDouble(end), *took = PyFloat_FromDouble(elapsed);
    if (at != NULL && took != NULL) {
        PyObject *args[] = {(PyObject *)admission, (PyObject *)ticket, at, took, result};
        done = PyObject_VectorcallMethod(name_returned, args, 5, NULL);
    }
    Py_XDECREF(at);
    Py_XDECREF(took);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Count a call that raised `error`. */
static int
failed(Admission *admission, Ticket *ticket, double start, PyObject *error)
{
    double end;
    if (read_clock(admission, &end) < 0) {
        return -1;
    }
    PyObject *done = NULL;
    PyObject *at = PyFloat_FromDouble(end), *began = PyFloat_FromDouble(start);
    if (at != NULL && began != NULL) {
        PyObject *args[] = {(PyObject *)admission, (PyObject *)ticket, at, began, error};
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

/* What `call` returns for a function that returned something to await: a new reference, or NULL. */
static PyObject *
returned_awaitable(Admission *admission, Ticket *ticket, double start, PyObject *result)
{
    PyObject *began = PyFloat_FromDouble(start);
    if (began == NULL) {
        return NULL;
    }
    PyObject *args[] = {(PyObject *)admission, (PyObject *)ticket, began, result};
    PyObject *replaced = PyObject_VectorcallMethod(name_returned_awaitable, args, 4, NULL);
    Py_DECREF(began);
    return replaced;
}

PyDoc_STRVAR(call_doc,
             "call($self, func, /, *args, **kwargs)\n--\n\n"
             "Call `func` if the breaker lets it.\n\n"
             "Raises:\n"
             "    CircuitBreakerOpen: the breaker refused, `CircuitForcedOpen` if an operator did.\n"
             "    Exception: whatever `func` raises, or what `map_errors` puts in its place.");

static PyObject *
admission_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    Admission *admission = (Admission *)self;
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError, "call needs the function to call");
        return NULL;
    }
    Ticket *ticket = admit(admission);
    if (ticket == NULL) {
        return NULL;
    }
    double start;
    if (read_clock(admission, &start) < 0) {
        Py_DECREF(ticket);
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(args[0], args + 1, nargs - 1, names);
    if (result != NULL) {
        PyAsyncMethods *async = Py_TYPE(result)->tp_as_async;
        if (async != NULL && async->am_await != NULL) {
            PyObject *replaced = returned_awaitable(admission, ticket, start, result);
            Py_DECREF(result);
            Py_DECREF(ticket);
            return replaced;
        }
        if (returned(admission, ticket, start, result) < 0) {
            Py_CLEAR(result);
        }
        Py_DECREF(ticket);
        return result;
    }
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
    }
    if (failed(admission, ticket, start, error) < 0) {
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
    Py_DECREF(ticket);
    return NULL;
}

PyDoc_STRVAR(enter_doc,
             "enter($self, /)\n--\n\n"
             "Ask for a permit; give what it returns back to `leave`. For integrations.\n\n"
             "Raises:\n"
             "    CircuitBreakerOpen: the breaker refused.");

static PyObject *
admission_enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Admission *admission = (Admission *)self;
    Ticket *ticket = admit(admission);
    if (ticket == NULL) {
        return NULL;
    }
    double start;
    PyObject *seconds = read_clock(admission, &start) < 0 ? NULL : PyFloat_FromDouble(start);
    PyObject *pair = seconds == NULL ? NULL : PyTuple_New(2);
    if (pair == NULL) {
        Py_XDECREF(seconds);
        Py_DECREF(ticket);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, (PyObject *)ticket);
    PyTuple_SET_ITEM(pair, 1, seconds);
    return pair;
}

PyDoc_STRVAR(leave_doc,
             "leave($self, ticket, start, error=None, result=None)\n--\n\n"
             "Say how the call that `enter` let in went.\n\n"
             "Raises:\n"
             "    Exception: what the breaker's `map_errors` puts in the place of `error`.");

static PyObject *
admission_leave(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    static const char *const known[] = {"ticket", "start", "error", "result"};
    PyObject *given[4] = {NULL, NULL, Py_None, Py_None};
    if (nargs > 4) {
        PyErr_SetString(PyExc_TypeError, "leave takes ticket, start, error and result");
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
    if (given[0] == NULL || given[1] == NULL || !Py_IS_TYPE(given[0], ticket_type)) {
        PyErr_SetString(PyExc_TypeError, "leave needs the ticket and the start that enter returned");
        return NULL;
    }
    double start = PyFloat_AsDouble(given[1]);
    if (start == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    Admission *admission = (Admission *)self;
    Ticket *ticket = (Ticket *)given[0];
    int done = given[2] != Py_None ? failed(admission, ticket, start, given[2])
                                   : returned(admission, ticket, start, given[3]);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
admission_passed(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !Py_IS_TYPE(args[0], ticket_type)) {
        PyErr_SetString(PyExc_TypeError, "_passed takes an Ticket, a time and a latency");
        return NULL;
    }
    double now = PyFloat_AsDouble(args[1]), elapsed = PyFloat_AsDouble(args[2]);
    if (PyErr_Occurred() || passed((Admission *)self, (Ticket *)args[0], now, elapsed) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
admission_refused(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Admission *)self)->refusals++;
    Py_RETURN_NONE;
}

static PyObject *
admission_reset_tallies(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Admission *)self)->starts = ((Admission *)self)->refusals = 0;
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
admission_take_starts(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Admission *)self)->starts);
}

static PyObject *
admission_take_refusals(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Admission *)self)->refusals);
}

static PyObject *
admission_get_ticket(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Admission *)self)->ticket);
}

static int
admission_set_ticket(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || (value != Py_None && !Py_IS_TYPE(value, ticket_type))) {
        PyErr_SetString(PyExc_TypeError, "_ticket must be an Ticket or None");
        return -1;
    }
    Py_SETREF(((Admission *)self)->ticket, Py_NewRef(value));
    return 0;
}

static PyObject *
admission_get_now(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Admission *)self)->now);
}

static int
admission_set_now(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyCallable_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_now must be a function");
        return -1;
    }
    Admission *admission = (Admission *)self;
    admission->is_system_clock = value == time_monotonic;
    Py_SETREF(admission->now, Py_NewRef(value));
    return 0;
}

static PyMemberDef admission_members[] = {
    {"name", T_OBJECT_EX, offsetof(Admission, name), 0, NULL},
    {"_refusing_until", T_DOUBLE, offsetof(Admission, refusing_until), 0, NULL},
    {NULL}};

static PyGetSetDef admission_getset[] = {
    {"_ticket", admission_get_ticket, admission_set_ticket, NULL, NULL},
    {"_now", admission_get_now, admission_set_now, NULL, NULL},
    {NULL}};

static PyMethodDef admission_methods[] = {
    {"call", (PyCFunction)(void (*)(void))admission_call, METH_FASTCALL | METH_KEYWORDS, call_doc},
    {"enter", admission_enter, METH_NOARGS, enter_doc},
    {"leave", (PyCFunction)(void (*)(void))admission_leave, METH_FASTCALL | METH_KEYWORDS, leave_doc},
    {"_passed", (PyCFunction)(void (*)(void))admission_passed, METH_FASTCALL, NULL},
    {"_refused", admission_refused, METH_NOARGS, NULL},
    {"_reset_counters", admission_reset_tallies, METH_NOARGS, NULL},
    {"_take_starts", admission_take_starts, METH_NOARGS, NULL},
    {"_take_refusals", admission_take_refusals, METH_NOARGS, NULL},
    {NULL}};

static PyType_Slot admission_slots[] = {
    {Py_tp_doc, "The ways in and out of a breaker."},
    {Py_tp_new, admission_new},
    {Py_tp_init, admission_init},
    {Py_tp_traverse, admission_traverse},
    {Py_tp_clear, admission_clear},
    {Py_tp_dealloc, admission_dealloc},
    {Py_tp_members, admission_members},
    {Py_tp_getset, admission_getset},
    {Py_tp_methods, admission_methods},
    {0, NULL}};

static PyType_Spec admission_spec = {
    .name = "breakers.circuit._admission.Admission",
    .basicsize = sizeof(Admission),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = admission_slots,
};

/* -- The module ------------------------------------------------------------------------------ */

static PyMethodDef functions[] = {
    {"count_latencies", (PyCFunction)(void (*)(void))count_latencies, METH_FASTCALL, tally_doc}, {NULL}};

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
    name_returned_awaitable = PyUnicode_InternFromString("_returned_awaitable");
    name_merge = PyUnicode_InternFromString("merge");
    ticket_type = (PyTypeObject *)PyType_FromSpec(&ticket_spec);
    PyObject *admission_type = PyType_FromSpec(&admission_spec);
    if (circuit_breaker_open == NULL || time_monotonic == NULL || name_admit == NULL ||
        name_flush == NULL || name_returned == NULL || name_failed == NULL || name_merge == NULL ||
        name_returned_awaitable == NULL ||
        ticket_type == NULL || admission_type == NULL ||
        PyModule_AddObjectRef(module, "Ticket", (PyObject *)ticket_type) < 0 ||
        PyModule_AddObjectRef(module, "Admission", admission_type) < 0 ||
        PyModule_AddObject(module, "SOURCE", PyLong_FromUnsignedLong(SOURCE)) < 0) {
        Py_XDECREF(admission_type);
        Py_DECREF(module);
        return NULL;
    }
    Py_DECREF(admission_type);
    return module;
}
