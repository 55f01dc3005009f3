/* Admission of calls, compiled: the same as breakers/circuit/admission_plain.py, which documents it;
   and the time limits of sync calls that are not interrupted and of tasks, as
   breakers/calls/thread_timeouts.py and breakers/calls/coroutine_timeouts.py have them in Python.

   All counters rely on the interpreter lock, so breakers.circuit.admission never loads this module
   on free-threaded Python. Its types and exceptions belong to one interpreter, so it refuses to load
   in any but the main one. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <math.h>
#include <stdint.h>
#include <time.h>

/* The layout of breakers.circuit.histogram. */
#define SCALE 8
#define LOWEST (-160)
#define HIGHEST 136

/* A checksum of the source, by which breakers.circuit.admission recognises an old build: set by
   setup.py. */
#ifndef SOURCE
#define SOURCE 0UL
#endif

#define BUCKETS (HIGHEST - LOWEST + 1)

/* At most this many successes wait in a ticket, so that no bucket overflows. */
#define MOST (1LL << 31)

static PyObject *circuit_breaker_open;
static PyObject *time_monotonic;
static PyObject *context_marker;
static PyObject *attempt_marker; /* of a context: [breaker's address, number or 0, outer one] */
static PyObject *name_admit, *name_abandon, *name_mark_probe, *name_flush, *name_returned;
static PyObject *name_returned_awaitable, *name_failed, *name_merge;

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
        /* By the bits of the number, which are faster than a logarithm. Only within a rounding error
           of an edge does the logarithm decide, as it does in Python. */
        static const double edges[SCALE + 1] = {
            1.0, 0x1.172b83c7d517bp+0, 0x1.306fe0a31b715p+0, 0x1.4bfdad5362a27p+0,
            0x1.6a09e667f3bcdp+0, 0x1.8ace5422aa0dbp+0, 0x1.ae89f995ad3adp+0, 0x1.d5818dcfba487p+0, 2.0};
        uint64_t bits, ones = UINT64_C(1023) << 52;
        double m;
        memcpy(&bits, &seconds, sizeof(bits));
        int exponent = (int)(bits >> 52) - 1023, part = 0;
        bits = (bits & ((UINT64_C(1) << 52) - 1)) | ones;
        memcpy(&m, &bits, sizeof(m));
        for (int i = 1; i < SCALE; i++) {
            part += m >= edges[i];
        }
        if (m - edges[part] > 1e-9 && edges[part + 1] - m > 1e-9) {
            return exponent * SCALE + part;
        }
        return (int)ceil(log2(seconds) * SCALE) - 1;
    }
    return LOWEST;
}

PyDoc_STRVAR(count_latencies_doc,
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
        /* A reference of its own: __float__ is Python, and may change the list. */
        PyObject *item = Py_NewRef(PyList_GET_ITEM(args[2], i));
        double seconds = PyFloat_AsDouble(item);
        int is_bad = seconds == -1.0 && PyErr_Occurred();
        Py_ssize_t at = (Py_ssize_t)bucket_of(seconds) - first;
        if (!is_bad && at >= 0 && at < size) {
            counts[at]++;
        }
        else if (!is_bad) {
            if (beyond == NULL) {
                beyond = PyList_New(0);
            }
            is_bad = beyond == NULL || PyList_Append(beyond, item) < 0;
        }
        Py_DECREF(item);
        if (is_bad) {
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

/* Successes wait in buckets: a call that finds the breaker's lock taken goes on, so there may be very
   many, and they take the same memory. */
typedef struct {
    PyObject_HEAD
    double plain_below, edge, lease, sum, last;
    long long n, due;
    int batch, lowest, highest;
    char is_ended;
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
ticket_add(Ticket *ticket, double now, double elapsed)
{
    int at = bucket_of(elapsed) - LOWEST;
    ticket->last = now;
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
    ticket->last = -Py_HUGE_VAL;
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

/* What could not be counted waits again, beside what came meanwhile. */
static void
ticket_put_back(Ticket *ticket, const Ticket *taken)
{
    for (int at = taken->lowest; at <= taken->highest; at++) {
        ticket->waiting[at] += taken->waiting[at];
    }
    ticket->n += taken->n;
    ticket->sum += taken->sum;
    if (taken->lowest < ticket->lowest) {
        ticket->lowest = taken->lowest;
    }
    if (taken->highest > ticket->highest) {
        ticket->highest = taken->highest;
    }
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
        ticket_put_back((Ticket *)self, &taken);
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
    {"last", T_DOUBLE, offsetof(Ticket, last), READONLY, NULL},
    {"is_ended", T_BOOL, offsetof(Ticket, is_ended), 0, NULL},
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

/* One call in the flight recorder: the layout of breakers.circuit.recorder. The start is in
   microseconds of the breaker's clock, of 48 bits. */
typedef struct {
    uint32_t start_low;
    uint16_t start_high;
    uint8_t outcome, attempt;
    uint32_t latency_us;
} CallEntry;

#define RECORDED_CALLS 256
#define MAX_RECORDED_CALLS 65536
#define SUCCESS 0
#define REJECTED 5
#define MOST_S 1.4e8 /* of a start, in 48 bits of microseconds */

typedef struct {
    PyObject_HEAD
    CallEntry *calls; /* a ring, always a power of two */
    size_t calls_mask;
    unsigned long long n_calls, oldest_call; /* the ring has none from before */
    unsigned int noted_attempts; /* attempts after the first that have not ended */
    char records_refusals;
    PyObject *ticket;   /* an Ticket, or None */
    PyObject *name;
    PyObject *now;
    int is_system_clock;
    double refusing_until;
    unsigned long long starts, refusals;
    PyObject **active; /* the contexts that are inside a call: an open-addressing hash set */
    size_t active_mask, active_used;
} Admission;

static void active_clear(Admission *admission);

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
    admission->calls = PyMem_Calloc(RECORDED_CALLS, sizeof(CallEntry));
    admission->calls_mask = RECORDED_CALLS - 1;
    if (admission->calls == NULL) {
        Py_DECREF(admission);
        return PyErr_NoMemory();
    }
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
    for (size_t at = 0; admission->active != NULL && at <= admission->active_mask; at++) {
        Py_VISIT(admission->active[at]);
    }
    return 0;
}

static int
admission_clear(PyObject *self)
{
    /* An object that is collected later may still call: nothing is left NULL. */
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
    active_clear((Admission *)self);
    PyMem_Free(((Admission *)self)->calls);
    type->tp_free(self);
    Py_DECREF(type);
}

/* -- Contexts inside a call ------------------------------------------------------------------ */

/* A call that is made inside another one of the same breaker, in the same context, is part of it. The
   set holds strong references, so that no other context gets the address of one that is inside. */

static size_t
slot_of(PyObject *context, size_t mask)
{
    return (size_t)(((uintptr_t)context >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & mask;
}

/* The context of the caller, borrowed; NULL with an error set. */
static PyObject *
current_context(void)
{
    PyThreadState *state = PyThreadState_Get();
    if (state->context == NULL) {
        /* A thread gets its context with the first variable that is set. */
        PyObject *token = PyContextVar_Set(context_marker, Py_None);
        if (token == NULL) {
            return NULL;
        }
        Py_DECREF(token);
    }
    return state->context;
}

static int
is_active(Admission *admission, PyObject *context)
{
    if (admission->active_used == 0) {
        return 0;
    }
    size_t mask = admission->active_mask;
    for (size_t at = slot_of(context, mask);; at = (at + 1) & mask) {
        if (admission->active[at] == context) {
            return 1;
        }
        if (admission->active[at] == NULL) {
            return 0;
        }
    }
}

/* Note that this context, and what it starts, is inside a probe. */
static int
mark_probe(Admission *admission, Ticket *ticket)
{
    if (ticket->lease <= 0) {
        return 0;
    }
    PyObject *done =
        PyObject_CallMethodOneArg((PyObject *)admission, name_mark_probe, (PyObject *)ticket);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
grow_active(Admission *admission)
{
    size_t size = admission->active == NULL ? 8 : 2 * (admission->active_mask + 1);
    PyObject **grown = PyMem_Calloc(size, sizeof(*grown));
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; admission->active != NULL && i <= admission->active_mask; i++) {
        PyObject *each = admission->active[i];
        if (each != NULL) {
            size_t at = slot_of(each, size - 1);
            while (grown[at] != NULL) {
                at = (at + 1) & (size - 1);
            }
            grown[at] = each;
        }
    }
    PyMem_Free(admission->active);
    admission->active = grown;
    admission->active_mask = size - 1;
    return 0;
}

static int
activate(Admission *admission, PyObject *context)
{
    if (admission->active == NULL || 2 * (admission->active_used + 1) > admission->active_mask) {
        if (grow_active(admission) < 0) {
            return -1;
        }
    }
    size_t at = slot_of(context, admission->active_mask);
    while (admission->active[at] != NULL) {
        at = (at + 1) & admission->active_mask;
    }
    admission->active[at] = Py_NewRef(context);
    admission->active_used++;
    return 0;
}

static void
deactivate(Admission *admission, PyObject *context)
{
    if (admission->active_used == 0) {
        return;
    }
    size_t mask = admission->active_mask, hole = slot_of(context, mask);
    while (admission->active[hole] != context) {
        if (admission->active[hole] == NULL) {
            return;
        }
        hole = (hole + 1) & mask;
    }
    /* Those behind it move up, so that no search ends early. */
    for (size_t at = (hole + 1) & mask; admission->active[at] != NULL; at = (at + 1) & mask) {
        size_t home = slot_of(admission->active[at], mask);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            admission->active[hole] = admission->active[at];
            hole = at;
        }
    }
    admission->active[hole] = NULL;
    admission->active_used--;
    Py_DECREF(context);
}

static void
active_clear(Admission *admission)
{
    PyObject **active = admission->active;
    size_t mask = admission->active_mask;
    admission->active = NULL;
    admission->active_mask = admission->active_used = 0;
    for (size_t at = 0; active != NULL && at <= mask; at++) {
        Py_XDECREF(active[at]);
    }
    PyMem_Free(active);
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
    /* A reference of its own: the clock may put another in its place while it runs. */
    PyObject *clock = Py_NewRef(admission->now);
    PyObject *reading = PyObject_CallNoArgs(clock);
    Py_DECREF(clock);
    if (reading == NULL) {
        return -1;
    }
    *at = PyFloat_AsDouble(reading);
    Py_DECREF(reading);
    return *at == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* -- The flight recorder --------------------------------------------------------------------- */

/* Whether this is a noted attempt. */
static int
is_noted(PyObject *noted)
{
    return PyList_CheckExact(noted) && PyList_GET_SIZE(noted) == 3;
}

static long
number_of(PyObject *noted)
{
    return PyLong_AsLong(PyList_GET_ITEM(noted, 1));
}

/* The latest noted attempt of this context that has not ended, of any breaker, or None: a new
   reference. NULL with an exception. */
static PyObject *
latest_attempt(void)
{
    PyObject *noted = NULL;
    if (PyContextVar_Get(attempt_marker, Py_None, &noted) < 0) {
        return NULL;
    }
    while (is_noted(noted) && number_of(noted) == 0) {
        Py_SETREF(noted, Py_NewRef(PyList_GET_ITEM(noted, 2)));
    }
    return noted;
}

static int
is_attempt_of(PyObject *noted, Admission *admission)
{
    return is_noted(noted) && PyLong_AsVoidPtr(PyList_GET_ITEM(noted, 0)) == admission;
}

/* The number of the attempt that ends in this context. An exception that is set stays. */
static uint8_t
take_attempt(Admission *admission)
{
    if (admission->noted_attempts == 0) {
        return 1;
    }
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    long attempt = 0;
    PyObject *noted = latest_attempt();
    while (noted != NULL && is_noted(noted)) {
        if (is_attempt_of(noted, admission) && (attempt = number_of(noted)) > 0) {
            /* It is marked as ended in place: no context variable is set here, where a finaliser
               that the collector runs may be the caller. */
            PyList_SetItem(noted, 1, PyLong_FromLong(0));
            admission->noted_attempts--;
            break;
        }
        Py_SETREF(noted, Py_NewRef(PyList_GET_ITEM(noted, 2)));
    }
    Py_XDECREF(noted);
    PyErr_Clear();
    PyErr_Restore(kind, error, trace);
    return attempt > 0 ? (uint8_t)(attempt < 255 ? attempt : 255) : 1;
}

static void
record_call(Admission *admission, double start, double elapsed, uint8_t outcome)
{
    if (!(start > -MOST_S && start < MOST_S)) {
        start = 0.0;
    }
    double us = elapsed * 1e6 + 0.5;
    uint64_t at = (uint64_t)(int64_t)(start * 1e6);
    /* Before the place is chosen: objects are released in it, whose finalisers may resize the ring. */
    uint8_t attempt = take_attempt(admission);
    CallEntry *entry = &admission->calls[admission->n_calls++ & admission->calls_mask];
    entry->start_low = (uint32_t)at;
    entry->start_high = (uint16_t)(at >> 32);
    entry->outcome = outcome;
    entry->attempt = attempt;
    entry->latency_us = us >= 4294967295.0 ? UINT32_MAX : us > 0.0 ? (uint32_t)us : 0;
}

static PyObject *
admission_record_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "_record_call takes a start, a latency and an outcome");
        return NULL;
    }
    double start = PyFloat_AsDouble(args[0]), elapsed = PyFloat_AsDouble(args[1]);
    long outcome = PyLong_AsLong(args[2]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    record_call((Admission *)self, start, elapsed, (uint8_t)outcome);
    Py_RETURN_NONE;
}

static PyObject *
admission_read_calls(PyObject *self, PyObject *arg)
{
    Admission *admission = (Admission *)self;
    unsigned long long since = PyLong_AsUnsignedLongLong(arg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    unsigned long long n = admission->n_calls, size = admission->calls_mask + 1;
    unsigned long long first = n > size ? n - size : 0;
    first = first > admission->oldest_call ? first : admission->oldest_call;
    first = since > first ? (since < n ? since : n) : first;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((n - first) * sizeof(CallEntry)));
    if (bytes == NULL) {
        return NULL;
    }
    CallEntry *into = (CallEntry *)PyBytes_AS_STRING(bytes);
    for (unsigned long long at = first; at < n; at++) {
        memcpy(&into[at - first], &admission->calls[at & admission->calls_mask], sizeof(*into));
    }
    return Py_BuildValue("(KN)", first, bytes);
}

/* Keep so many calls from here on, a power of two; the latest of those before stay. */
static PyObject *
admission_resize_calls(PyObject *self, PyObject *arg)
{
    Admission *admission = (Admission *)self;
    long wanted = PyLong_AsLong(arg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (wanted < 1 || wanted > MAX_RECORDED_CALLS || (wanted & (wanted - 1))) {
        PyErr_Format(PyExc_ValueError, "a recorder of %ld calls; it must be a power of two up to %d",
                     wanted, MAX_RECORDED_CALLS);
        return NULL;
    }
    size_t mask = (size_t)wanted - 1;
    CallEntry *calls = PyMem_Calloc((size_t)wanted, sizeof(CallEntry));
    if (calls == NULL) {
        return PyErr_NoMemory();
    }
    unsigned long long n = admission->n_calls;
    size_t kept = mask < admission->calls_mask ? mask + 1 : admission->calls_mask + 1;
    kept = kept < n - admission->oldest_call ? kept : (size_t)(n - admission->oldest_call);
    for (size_t back = 1; back <= kept; back++) {
        calls[(n - back) & mask] = admission->calls[(n - back) & admission->calls_mask];
    }
    PyMem_Free(admission->calls);
    admission->calls = calls;
    admission->calls_mask = mask;
    admission->oldest_call = n - kept;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(note_attempt_doc,
             "_note_attempt($self, number, /)\n--\n\n"
             "The next call in this context is an attempt after the first.");

static PyObject *
admission_note_attempt(PyObject *self, PyObject *arg)
{
    Admission *admission = (Admission *)self;
    long number = PyLong_AsLong(arg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *context = current_context();
    if (context == NULL) {
        return NULL;
    }
    if (is_active(admission, context)) {
        Py_RETURN_NONE; /* part of the outer call */
    }
    PyObject *outer = latest_attempt();
    if (outer == NULL) {
        return NULL;
    }
    int is_again = is_attempt_of(outer, admission);
    if (is_again) {
        Py_SETREF(outer, Py_NewRef(PyList_GET_ITEM(outer, 2)));
    }
    PyObject *noted = Py_BuildValue("[NlN]", PyLong_FromVoidPtr(admission), number, outer);
    PyObject *token = noted == NULL ? NULL : PyContextVar_Set(attempt_marker, noted);
    Py_XDECREF(noted);
    if (token == NULL) {
        return NULL;
    }
    Py_DECREF(token);
    admission->noted_attempts += !is_again;
    Py_RETURN_NONE;
}

/* Count a refusal. */
static void
refuse(Admission *admission, double now)
{
    admission->refusals++;
    if (admission->records_refusals) {
        record_call(admission, now, 0.0, REJECTED);
    }
    else if (admission->noted_attempts) {
        take_attempt(admission);
    }
}

/* Admit a call, as a new reference to its ticket, and read the clock into `*start`; NULL where it is
   refused. It counts as started once nothing can fail any more. */
static Ticket *
admit(Admission *admission, double *start)
{
    PyObject *ticket = admission->ticket;
    if (ticket != Py_None) {
        Py_INCREF(ticket);
        if (read_clock(admission, start) < 0) {
            Py_DECREF(ticket);
            return NULL;
        }
        admission->starts++;
        return (Ticket *)ticket;
    }
    double now;
    if (read_clock(admission, &now) < 0) {
        return NULL;
    }
    double left = admission->refusing_until - now;
    if (left > 0) {
        refuse(admission, now);
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
        PyErr_SetString(PyExc_TypeError, "_admit must return a Ticket");
        return NULL;
    }
    if (read_clock(admission, start) < 0) {
        PyObject *kind, *error, *trace;
        PyErr_Fetch(&kind, &error, &trace);
        PyObject *done = PyObject_CallMethodOneArg((PyObject *)admission, name_abandon, ticket);
        Py_XDECREF(done);
        Py_DECREF(ticket);
        PyErr_Clear();
        PyErr_Restore(kind, error, trace);
        return NULL;
    }
    if (((Ticket *)ticket)->lease >= 0) {
        admission->starts++;
    }
    return (Ticket *)ticket;
}

/* Let a plain success wait to be counted. -1 with an error set where counting fails. */
static int
flush(Admission *admission, Ticket *ticket, double now)
{
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

static int
passed(Admission *admission, Ticket *ticket, double now, double elapsed)
{
    if (ticket->n > 0 && now >= ticket->edge && flush(admission, ticket, now) < 0) {
        return -1; /* what waits is of an earlier time */
    }
    record_call(admission, now - elapsed, elapsed, SUCCESS);
    ticket_add(ticket, now, elapsed);
    if (ticket->n < ticket->due && now < ticket->edge && (PyObject *)ticket == admission->ticket) {
        return 0;
    }
    return flush(admission, ticket, now);
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

/* Count a call that raised, while its exception is the one that is being handled: what is raised in
   its place has it as context, as in an `except` block. 0 and the exception set again, or -1. */
static int
failed_in_call(Admission *admission, Ticket *ticket, double start)
{
    PyObject *kind, *error, *trace, *kind_before, *error_before, *trace_before;
    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
    }
    PyErr_GetExcInfo(&kind_before, &error_before, &trace_before);
    PyErr_SetExcInfo(Py_NewRef(kind), Py_NewRef(error), Py_XNewRef(trace));
    int done = failed(admission, ticket, start, error);
    PyObject *kind_after, *error_after, *trace_after;
    PyErr_Fetch(&kind_after, &error_after, &trace_after);
    PyErr_SetExcInfo(kind_before, error_before, trace_before);
    if (done < 0) {
        PyErr_Restore(kind_after, error_after, trace_after);
        Py_XDECREF(kind);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return -1;
    }
    PyErr_Restore(kind, error, trace);
    return 0;
}

static PyObject *
admission_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    Admission *admission = (Admission *)self;
    if (nargs < 1) {
        PyErr_SetString(PyExc_TypeError, "call needs the function to call");
        return NULL;
    }
    PyObject *context = current_context();
    if (context == NULL) {
        return NULL;
    }
    if (is_active(admission, context)) {
        return PyObject_Vectorcall(args[0], args + 1, nargs - 1, names);
    }
    Py_INCREF(context);
    double start;
    Ticket *ticket = admit(admission, &start);
    if (ticket == NULL) {
        Py_DECREF(context);
        return NULL;
    }
    if (mark_probe(admission, ticket) < 0 || activate(admission, context) < 0) {
        failed_in_call(admission, ticket, start);
        Py_DECREF(ticket);
        Py_DECREF(context);
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(args[0], args + 1, nargs - 1, names);
    deactivate(admission, context);
    Py_DECREF(context);
    PyAsyncMethods *async = result == NULL ? NULL : Py_TYPE(result)->tp_as_async;
    if (result == NULL) {
        failed_in_call(admission, ticket, start);
    }
    else if (async != NULL && async->am_await != NULL) {
        Py_SETREF(result, returned_awaitable(admission, ticket, start, result));
    }
    else if (returned(admission, ticket, start, result) < 0) {
        Py_CLEAR(result);
    }
    Py_DECREF(ticket);
    return result;
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
    double start;
    Ticket *ticket = admit(admission, &start);
    if (ticket == NULL) {
        return NULL;
    }
    PyObject *seconds = PyFloat_FromDouble(start);
    PyObject *pair = seconds == NULL ? NULL : PyTuple_New(2);
    if (pair == NULL) {
        Py_XDECREF(seconds);
        failed_in_call(admission, ticket, start);
        Py_DECREF(ticket);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, (PyObject *)ticket);
    PyTuple_SET_ITEM(pair, 1, seconds);
    return pair;
}

/* `enter` for a call that begins and ends in coroutines or blocks: (ticket, start, context), or None
   for a nested call. */
static PyObject *
admission_begin(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Admission *admission = (Admission *)self;
    PyObject *context = current_context();
    if (context == NULL) {
        return NULL;
    }
    if (is_active(admission, context)) {
        Py_RETURN_NONE;
    }
    Py_INCREF(context);
    double start;
    Ticket *ticket = admit(admission, &start);
    if (ticket == NULL) {
        Py_DECREF(context);
        return NULL;
    }
    PyObject *seconds = PyFloat_FromDouble(start);
    PyObject *triple = seconds == NULL ? NULL : PyTuple_New(3);
    if (triple == NULL || mark_probe(admission, ticket) < 0 || activate(admission, context) < 0) {
        Py_XDECREF(seconds);
        Py_XDECREF(triple);
        failed_in_call(admission, ticket, start);
        Py_DECREF(ticket);
        Py_DECREF(context);
        return NULL;
    }
    PyTuple_SET_ITEM(triple, 0, (PyObject *)ticket);
    PyTuple_SET_ITEM(triple, 1, seconds);
    PyTuple_SET_ITEM(triple, 2, context);
    return triple;
}

/* The end of what `_begin` began: _end(begun, error=None, result=None). */
static PyObject *
admission_end(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Admission *admission = (Admission *)self;
    if (nargs < 1 || nargs > 3 || !PyTuple_CheckExact(args[0]) || PyTuple_GET_SIZE(args[0]) != 3 ||
        !Py_IS_TYPE(PyTuple_GET_ITEM(args[0], 0), ticket_type)) {
        PyErr_SetString(PyExc_TypeError, "_end takes what _begin returned, an error and a result");
        return NULL;
    }
    Ticket *ticket = (Ticket *)PyTuple_GET_ITEM(args[0], 0);
    double start = PyFloat_AsDouble(PyTuple_GET_ITEM(args[0], 1));
    if (start == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *error = nargs > 1 ? args[1] : Py_None, *result = nargs > 2 ? args[2] : Py_None;
    deactivate(admission, PyTuple_GET_ITEM(args[0], 2));
    int done = error != Py_None ? failed(admission, ticket, start, error)
                                : returned(admission, ticket, start, result);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
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
admission_refused(PyObject *self, PyObject *at)
{
    double now = PyFloat_AsDouble(at);
    if (PyErr_Occurred()) {
        return NULL;
    }
    refuse((Admission *)self, now);
    Py_RETURN_NONE;
}

static PyObject *
admission_reset_counters(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Admission *)self)->starts = ((Admission *)self)->refusals = 0;
    ((Admission *)self)->n_calls = ((Admission *)self)->oldest_call = 0;
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
    {"_records_refusals", T_BOOL, offsetof(Admission, records_refusals), 0, NULL},
    {NULL}};

static PyGetSetDef admission_getset[] = {
    {"_ticket", admission_get_ticket, admission_set_ticket, NULL, NULL},
    {"_now", admission_get_now, admission_set_now, NULL, NULL},
    {NULL}};

static PyMethodDef admission_methods[] = {
    {"call", (PyCFunction)(void (*)(void))admission_call, METH_FASTCALL | METH_KEYWORDS, call_doc},
    {"enter", admission_enter, METH_NOARGS, enter_doc},
    {"leave", (PyCFunction)(void (*)(void))admission_leave, METH_FASTCALL | METH_KEYWORDS, leave_doc},
    {"_begin", admission_begin, METH_NOARGS, NULL},
    {"_end", (PyCFunction)(void (*)(void))admission_end, METH_FASTCALL, NULL},
    {"_passed", (PyCFunction)(void (*)(void))admission_passed, METH_FASTCALL, NULL},
    {"_refused", admission_refused, METH_O, NULL},
    {"_record_call", (PyCFunction)(void (*)(void))admission_record_call, METH_FASTCALL, NULL},
    {"_read_calls", admission_read_calls, METH_O, NULL},
    {"_resize_calls", admission_resize_calls, METH_O, NULL},
    {"_note_attempt", admission_note_attempt, METH_O, note_attempt_doc},
    {"_reset_counters", admission_reset_counters, METH_NOARGS, NULL},
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

/* -- The time limit of a call -------------------------------------------------------------------- */

/* The slots of breakers.deadline.Deadline, and of CoroutineTimeout, which adds the others. Each limit
   looks up where they are, so that this module does not depend on the layout of Python classes. */
enum { AT, BUDGET, IS_OVER, OUTER, CANCELLED_BEFORE, RUNNING, TOKEN, EXPIRED, TASK, SLOTS };
static const char *const slot_names[] = {"at",       "budget", "is_over", "_outer", "_cancelled_before",
                                         "_running", "_token", "expired", "task"};

static PyObject *
find_member(PyTypeObject *type, const char *name)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        PyObject *member = base->tp_dict == NULL ? NULL : PyDict_GetItemString(base->tp_dict, name);
        if (member != NULL) {
            return member;
        }
    }
    return NULL;
}

static int
find_slots(PyTypeObject *type, int n, Py_ssize_t *offsets)
{
    for (int i = 0; i < n; i++) {
        PyObject *member = find_member(type, slot_names[i]);
        if (member == NULL || !Py_IS_TYPE(member, &PyMemberDescr_Type) ||
            ((PyMemberDescrObject *)member)->d_member->type != T_OBJECT_EX) {
            PyErr_Format(PyExc_TypeError, "%R has no slot %s", (PyObject *)type, slot_names[i]);
            return -1;
        }
        offsets[i] = ((PyMemberDescrObject *)member)->d_member->offset;
    }
    return 0;
}

static inline PyObject **
slot(const Py_ssize_t *offsets, PyObject *object, int i)
{
    return (PyObject **)((char *)object + offsets[i]);
}

typedef struct {
    PyObject_HEAD
    double seconds;
    PyObject *budget, *deadline_type, *variable, *call_timeout;
    Py_ssize_t offsets[OUTER + 1];
} TimeLimit;

static int
time_limit_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"seconds", "deadline_type", "variable", "call_timeout", NULL};
    TimeLimit *limit = (TimeLimit *)self;
    double seconds;
    PyObject *deadline_type, *variable, *call_timeout;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "dO!O!O", names, &seconds, &PyType_Type,
                                     &deadline_type, &PyContextVar_Type, &variable, &call_timeout)) {
        return -1;
    }
    if (find_slots((PyTypeObject *)deadline_type, OUTER + 1, limit->offsets) < 0) {
        return -1;
    }
    PyObject *budget = PyFloat_FromDouble(seconds);
    if (budget == NULL) {
        return -1;
    }
    limit->seconds = seconds;
    Py_XSETREF(limit->budget, budget);
    Py_XSETREF(limit->deadline_type, Py_NewRef(deadline_type));
    Py_XSETREF(limit->variable, Py_NewRef(variable));
    Py_XSETREF(limit->call_timeout, Py_NewRef(call_timeout));
    return 0;
}

static void
time_limit_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    TimeLimit *limit = (TimeLimit *)self;
    Py_XDECREF(limit->budget);
    Py_XDECREF(limit->deadline_type);
    Py_XDECREF(limit->variable);
    Py_XDECREF(limit->call_timeout);
    type->tp_free(self);
    Py_DECREF(type);
}

static double
monotonic(void)
{
#ifdef __linux__
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)((long long)now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
#else
    PyObject *reading = PyObject_CallNoArgs(time_monotonic);
    double at = reading == NULL ? -1.0 : PyFloat_AsDouble(reading);
    Py_XDECREF(reading);
    return at;
#endif
}

PyDoc_STRVAR(time_limit_run_doc,
             "run($self, func, args, kwargs, /)\n--\n\n"
             "Call `func` with a deadline for it to read, where there is none yet.\n\n"
             "Raises:\n"
             "    CallTimeout: the call returned late.");

static PyObject *
time_limit_run(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    TimeLimit *limit = (TimeLimit *)self;
    if (nargs != 3 || limit->budget == NULL || !PyTuple_CheckExact(args[1]) ||
        !PyDict_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "run takes a function, its args and its kwargs");
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)limit->deadline_type;
    double at = monotonic() + limit->seconds;
    PyObject *deadline = type->tp_alloc(type, 0), *until = PyFloat_FromDouble(at);
    if (deadline == NULL || until == NULL) {
        Py_XDECREF(deadline);
        Py_XDECREF(until);
        return NULL;
    }
    *slot(limit->offsets, deadline, AT) = until;
    *slot(limit->offsets, deadline, BUDGET) = Py_NewRef(limit->budget);
    *slot(limit->offsets, deadline, IS_OVER) = Py_NewRef(Py_False);
    *slot(limit->offsets, deadline, OUTER) = Py_NewRef(Py_None);
    PyObject *token = PyContextVar_Set(limit->variable, deadline);
    if (token == NULL) {
        Py_DECREF(deadline);
        return NULL;
    }
    PyObject *kwargs = PyDict_GET_SIZE(args[2]) > 0 ? args[2] : NULL;
    PyObject *result = PyObject_Call(args[0], args[1], kwargs);
    PyObject *kind = NULL, *error = NULL, *trace = NULL;
    if (result == NULL) {
        PyErr_Fetch(&kind, &error, &trace);
    }
    /* What the call started may still read it: the call is over for that. */
    PyObject **is_over = slot(limit->offsets, deadline, IS_OVER);
    Py_XSETREF(*is_over, Py_NewRef(Py_True));
    if (PyContextVar_Reset(limit->variable, token) < 0) {
        PyErr_Clear();
    }
    Py_DECREF(token);
    Py_DECREF(deadline);
    if (result == NULL) {
        PyErr_Restore(kind, error, trace);
        return NULL;
    }
    if (monotonic() >= at) {
        Py_DECREF(result);
        PyObject *late = PyObject_CallOneArg(limit->call_timeout, limit->budget);
        if (late != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(late), late);
            Py_DECREF(late);
        }
        return NULL;
    }
    return result;
}

static PyMethodDef time_limit_methods[] = {
    {"run", (PyCFunction)(void (*)(void))time_limit_run, METH_FASTCALL, time_limit_run_doc}, {NULL}};

static PyType_Slot time_limit_slots[] = {
    {Py_tp_doc, "The time limit of sync calls that are not interrupted."},
    {Py_tp_init, time_limit_init},
    {Py_tp_dealloc, time_limit_dealloc},
    {Py_tp_methods, time_limit_methods},
    {0, NULL}};

static PyType_Spec time_limit_spec = {
    .name = "breakers.circuit._admission.TimeLimit",
    .basicsize = sizeof(TimeLimit),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = time_limit_slots,
};

/* -- The time limit of a task --------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    double seconds;
    PyObject *budget, *timeout_type, *variable, *otherwise, *task_of, *local;
    Py_ssize_t offsets[SLOTS];
} TaskLimit;

static PyObject *name_thread_id, *name_timers, *name_loop, *name_running, *name_fires_at, *name_cancelling;
static PyObject *name_has_returned;

static int
task_limit_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"seconds", "timeout_type", "variable", "otherwise",
                            "task_of", "local",        NULL};
    TaskLimit *limit = (TaskLimit *)self;
    double seconds;
    PyObject *timeout_type, *variable, *otherwise, *task_of, *local;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "dO!O!OOO", names, &seconds, &PyType_Type,
                                     &timeout_type, &PyContextVar_Type, &variable, &otherwise,
                                     &task_of, &local) ||
        find_slots((PyTypeObject *)timeout_type, SLOTS, limit->offsets) < 0) {
        return -1;
    }
    PyObject *budget = PyFloat_FromDouble(seconds);
    if (budget == NULL) {
        return -1;
    }
    limit->seconds = seconds;
    Py_XSETREF(limit->budget, budget);
    Py_XSETREF(limit->timeout_type, Py_NewRef(timeout_type));
    Py_XSETREF(limit->variable, Py_NewRef(variable));
    Py_XSETREF(limit->otherwise, Py_NewRef(otherwise));
    Py_XSETREF(limit->task_of, Py_NewRef(task_of));
    Py_XSETREF(limit->local, Py_NewRef(local));
    return 0;
}

static void
task_limit_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    TaskLimit *limit = (TaskLimit *)self;
    Py_XDECREF(limit->budget);
    Py_XDECREF(limit->timeout_type);
    Py_XDECREF(limit->variable);
    Py_XDECREF(limit->otherwise);
    Py_XDECREF(limit->task_of);
    Py_XDECREF(limit->local);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Whether a loop runs in this thread. asyncio._get_running_loop asks for the process id until Python
   3.12, which is a call of the kernel. */
static int
runs_here(PyObject *loop)
{
    PyObject *thread = PyObject_GetAttr(loop, name_thread_id);
    if (thread == NULL) {
        PyErr_Clear();
        return 0;
    }
    unsigned long id = PyLong_CheckExact(thread) ? PyLong_AsUnsignedLong(thread) : 0;
    Py_DECREF(thread);
    return id == PyThread_get_thread_ident();
}

/* The task that runs here and the set of its loop's timeouts, if the loop's timer fires before `at`:
   new references. 0 where that is not so, perhaps with an error set. */
static int
running_task(TaskLimit *limit, double at, PyObject **task, PyObject **running)
{
    PyObject *loop = NULL, *fires_at = NULL, *timers = PyObject_GetAttr(limit->local, name_timers);
    if (timers != NULL && timers != Py_None &&
        (loop = PyObject_GetAttr(timers, name_loop)) != NULL && runs_here(loop) &&
        (fires_at = PyObject_GetAttr(timers, name_fires_at)) != NULL &&
        PyFloat_CheckExact(fires_at) && at >= PyFloat_AS_DOUBLE(fires_at) &&
        (*task = PyObject_CallOneArg(limit->task_of, loop)) != NULL && *task != Py_None) {
        *running = PyObject_GetAttr(timers, name_running);
    }
    Py_XDECREF(loop);
    Py_XDECREF(fires_at);
    Py_XDECREF(timers);
    return *running != NULL && PyAnySet_CheckExact(*running);
}

PyDoc_STRVAR(task_limit_begin_doc,
             "begin($self, /)\n--\n\n"
             "The timeout of the running task, begun. The Python class makes it wherever more is to\n"
             "be done than usual: an enclosing deadline, the first timeout of a loop, no task.");

static PyObject *
task_limit_begin(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    TaskLimit *limit = (TaskLimit *)self;
    PyObject *enclosing = NULL, *task = NULL, *running = NULL, *cancelled = NULL, *until = NULL;
    PyObject *timeout = NULL, *token = NULL;
    if (limit->budget == NULL) {
        PyErr_SetString(PyExc_TypeError, "the limit was not initialised");
        return NULL;
    }
    if (PyContextVar_Get(limit->variable, Py_None, &enclosing) < 0) {
        return NULL;
    }
    Py_DECREF(enclosing);
    double at = monotonic() + limit->seconds;
    if (enclosing != Py_None || !running_task(limit, at, &task, &running)) {
        if (!PyErr_Occurred()) {
            timeout = PyObject_CallOneArg(limit->otherwise, limit->budget);
        }
        goto done;
    }
    cancelled = PyObject_CallMethodNoArgs(task, name_cancelling);
    PyTypeObject *type = (PyTypeObject *)limit->timeout_type;
    until = PyFloat_FromDouble(at);
    timeout = cancelled == NULL || until == NULL ? NULL : type->tp_alloc(type, 0);
    if (timeout == NULL) {
        goto failed;
    }
    *slot(limit->offsets, timeout, AT) = Py_NewRef(until);
    *slot(limit->offsets, timeout, BUDGET) = Py_NewRef(limit->budget);
    *slot(limit->offsets, timeout, IS_OVER) = Py_NewRef(Py_False);
    *slot(limit->offsets, timeout, OUTER) = Py_NewRef(Py_None);
    *slot(limit->offsets, timeout, CANCELLED_BEFORE) = Py_NewRef(cancelled);
    *slot(limit->offsets, timeout, RUNNING) = Py_NewRef(running);
    *slot(limit->offsets, timeout, EXPIRED) = Py_NewRef(Py_False);
    *slot(limit->offsets, timeout, TASK) = Py_NewRef(task);
    if (PySet_Add(running, timeout) < 0) {
        goto failed;
    }
    token = PyContextVar_Set(limit->variable, timeout);
    if (token == NULL) {
        PyObject *kind, *error, *trace;
        PyErr_Fetch(&kind, &error, &trace);
        PySet_Discard(running, timeout);
        PyErr_Restore(kind, error, trace);
        goto failed;
    }
    *slot(limit->offsets, timeout, TOKEN) = token;
    goto done;
failed:
    Py_CLEAR(timeout);
    goto done;
done:
    Py_XDECREF(task);
    Py_XDECREF(running);
    Py_XDECREF(cancelled);
    Py_XDECREF(until);
    return timeout;
}

PyDoc_STRVAR(task_limit_returned_doc,
             "returned($self, timeout, /)\n--\n\n"
             "`timeout.returned()`, at the cost of nothing more than that.");

static PyObject *
task_limit_returned(PyObject *self, PyObject *timeout)
{
    TaskLimit *limit = (TaskLimit *)self;
    if ((PyObject *)Py_TYPE(timeout) != limit->timeout_type) {
        return PyObject_CallMethodNoArgs(timeout, name_has_returned);
    }
    PyObject *running = *slot(limit->offsets, timeout, RUNNING);
    PyObject *token = *slot(limit->offsets, timeout, TOKEN);
    if (*slot(limit->offsets, timeout, EXPIRED) != Py_False || running == NULL || token == NULL ||
        !PyAnySet_CheckExact(running) || !Py_IS_TYPE(token, &PyContextToken_Type)) {
        return PyObject_CallMethodNoArgs(timeout, name_has_returned);
    }
    if (PySet_Discard(running, timeout) < 0) {
        return NULL;
    }
    Py_XSETREF(*slot(limit->offsets, timeout, IS_OVER), Py_NewRef(Py_True));
    Py_XSETREF(*slot(limit->offsets, timeout, TASK), Py_NewRef(Py_None));
    Py_INCREF(token);
    Py_XSETREF(*slot(limit->offsets, timeout, TOKEN), Py_NewRef(Py_None));
    if (PyContextVar_Reset(limit->variable, token) < 0) {
        /* It is left in another context than it was entered in. */
        PyErr_Clear();
    }
    Py_DECREF(token);
    Py_RETURN_NONE;
}

static PyMethodDef task_limit_methods[] = {
    {"begin", task_limit_begin, METH_NOARGS, task_limit_begin_doc},
    {"returned", task_limit_returned, METH_O, task_limit_returned_doc},
    {NULL}};

static PyType_Slot task_limit_slots[] = {
    {Py_tp_doc, "The time limit of calls in tasks of asyncio."},
    {Py_tp_init, task_limit_init},
    {Py_tp_dealloc, task_limit_dealloc},
    {Py_tp_methods, task_limit_methods},
    {0, NULL}};

static PyType_Spec task_limit_spec = {
    .name = "breakers.circuit._admission.TaskLimit",
    .basicsize = sizeof(TaskLimit),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = task_limit_slots,
};

/* -- The module ------------------------------------------------------------------------------ */

static PyMethodDef functions[] = {
    {"count_latencies", (PyCFunction)(void (*)(void))count_latencies, METH_FASTCALL, count_latencies_doc}, {NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "breakers.circuit._admission",
    .m_doc = "Admission of calls, in C.",
    /* Not -1: a subinterpreter would get a copy of the module without asking PyInit. */
    .m_size = 0,
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
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "the compiled admission works in the main interpreter only");
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) {
        return NULL;
    }
    /* A second import finds the first one's types, so that objects of both work together. */
    static PyObject *admission_type, *time_limit_type, *task_limit_type;
    if (admission_type == NULL) {
        context_marker = PyContextVar_New("breakers_context", NULL);
        attempt_marker = PyContextVar_New("breakers_attempt", NULL);
        circuit_breaker_open = attribute_of("breakers.errors", "CircuitBreakerOpen");
        time_monotonic = attribute_of("time", "monotonic");
        name_admit = PyUnicode_InternFromString("_admit");
        name_abandon = PyUnicode_InternFromString("_abandon");
        name_mark_probe = PyUnicode_InternFromString("_mark_probe");
        name_flush = PyUnicode_InternFromString("_flush");
        name_returned = PyUnicode_InternFromString("_returned");
        name_failed = PyUnicode_InternFromString("_failed");
        name_returned_awaitable = PyUnicode_InternFromString("_returned_awaitable");
        name_merge = PyUnicode_InternFromString("merge");
        ticket_type = (PyTypeObject *)PyType_FromSpec(&ticket_spec);
        admission_type = PyType_FromSpec(&admission_spec);
        time_limit_type = PyType_FromSpec(&time_limit_spec);
        task_limit_type = PyType_FromSpec(&task_limit_spec);
        name_thread_id = PyUnicode_InternFromString("_thread_id");
        name_timers = PyUnicode_InternFromString("timers");
        name_loop = PyUnicode_InternFromString("loop");
        name_running = PyUnicode_InternFromString("running");
        name_fires_at = PyUnicode_InternFromString("fires_at");
        name_cancelling = PyUnicode_InternFromString("cancelling");
        name_has_returned = PyUnicode_InternFromString("returned");
    }
    if (context_marker == NULL || attempt_marker == NULL || name_abandon == NULL || name_mark_probe == NULL ||
        circuit_breaker_open == NULL || time_monotonic == NULL || name_admit == NULL ||
        name_flush == NULL || name_returned == NULL || name_failed == NULL || name_merge == NULL ||
        name_returned_awaitable == NULL ||
        ticket_type == NULL || admission_type == NULL || time_limit_type == NULL ||
        task_limit_type == NULL || name_thread_id == NULL || name_timers == NULL || name_loop == NULL || name_running == NULL ||
        name_fires_at == NULL || name_cancelling == NULL || name_has_returned == NULL ||
        PyModule_AddObjectRef(module, "Ticket", (PyObject *)ticket_type) < 0 ||
        PyModule_AddObjectRef(module, "Admission", admission_type) < 0 ||
        PyModule_AddObjectRef(module, "TimeLimit", time_limit_type) < 0 ||
        PyModule_AddObjectRef(module, "TaskLimit", task_limit_type) < 0 ||
        PyModule_AddObject(module, "SOURCE", PyLong_FromUnsignedLong(SOURCE)) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
