/* Looks at sketches as they travel, in MessagePack, and sums them without making a dictionary of
 * each. `dashboard/bus/sketches.py` says what the functions mean, and does the same in Python. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define MOST_BUCKETS 1024
/* wire.Count: so little that the sum of any list that fits into memory fits into 64 bits. */
#define MOST_COUNTED (INT64_C(1) << 40)
#define MOST_SUMMED (1 << 20)

static long lowest, highest;

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} Reader;

static int
read_unsigned(Reader *reader, int bytes, uint64_t *value)
{
    if (reader->end - reader->at < bytes) {
        return -1;
    }
    *value = 0;
    while (bytes-- > 0) {
        *value = *value << 8 | *reader->at++;
    }
    return 0;
}

static int
read_int(Reader *reader, int64_t *value)
{
    uint64_t raw;
    if (reader->at == reader->end) {
        return -1;
    }
    uint8_t tag = *reader->at++;
    if (tag <= 0x7f || tag >= 0xe0) {
        *value = (int8_t)tag;
        return 0;
    }
    if (tag >= 0xcc && tag <= 0xcf) {
        if (read_unsigned(reader, 1 << (tag - 0xcc), &raw) < 0 || raw > INT64_MAX) {
            return -1;
        }
        *value = (int64_t)raw;
        return 0;
    }
    if (tag < 0xd0 || tag > 0xd3 || read_unsigned(reader, 1 << (tag - 0xd0), &raw) < 0) {
        return -1;
    }
    int spare = 64 - (8 << (tag - 0xd0));
    *value = (int64_t)(raw << spare) >> spare;
    return 0;
}

static int
read_map(Reader *reader, uint64_t *pairs)
{
    if (reader->at == reader->end) {
        return -1;
    }
    uint8_t tag = *reader->at++;
    if ((tag & 0xf0) == 0x80) {
        *pairs = tag & 0x0f;
        return 0;
    }
    return tag == 0xde ? read_unsigned(reader, 2, pairs)
         : tag == 0xdf ? read_unsigned(reader, 4, pairs)
                       : -1;
}

static int
count_one(uint64_t *sums, int64_t index, int64_t count)
{
    if (index < lowest || index > highest || count < 0 || count > MOST_COUNTED) {
        return -1;
    }
    if (sums != NULL) {
        sums[index - lowest] += (uint64_t)count;
    }
    return 0;
}

/* -1 where it is not a map of buckets to counts, or not in ascending order though it should be. */
static int
count_packed(uint64_t *sums, Reader reader, int must_ascend)
{
    uint64_t pairs;
    int64_t index, count, before = INT64_MIN;
    if (read_map(&reader, &pairs) < 0) {
        return -1;
    }
    while (pairs-- > 0) {
        if (read_int(&reader, &index) < 0 || read_int(&reader, &count) < 0 ||
            (must_ascend && index <= before) || count_one(sums, index, count) < 0) {
            return -1;
        }
        before = index;
    }
    return reader.at == reader.end ? 0 : -1;
}

/* After an error: -1 where it says that the content is wrong, -2 where anything else went wrong. */
static int
unsound_or_failed(PyObject *of_the_content)
{
    if (PyErr_ExceptionMatches(of_the_content) || PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        return -1;
    }
    return -2;
}

/* -1 where a count or bucket is out of bounds, -2 with an error set. */
static int
count_dict(uint64_t *sums, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(dict, &position, &key, &value)) {
        int64_t index = PyLong_AsLongLong(key);
        int64_t count = index == -1 && PyErr_Occurred() ? -1 : PyLong_AsLongLong(value);
        if (PyErr_Occurred()) {
            return unsound_or_failed(PyExc_OverflowError);
        }
        if (count_one(sums, index, count) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
count_any(uint64_t *sums, PyObject *sketch, int must_ascend)
{
    Py_buffer view;
    if (PyDict_Check(sketch)) {
        return count_dict(sums, sketch);
    }
    if (PyObject_GetBuffer(sketch, &view, PyBUF_SIMPLE) < 0) {
        return unsound_or_failed(PyExc_BufferError);
    }
    Reader reader = {view.buf, (const uint8_t *)view.buf + view.len};
    int found = count_packed(sums, reader, must_ascend);
    PyBuffer_Release(&view);
    return found;
}

static PyObject *
is_sound(PyObject *module, PyObject *packed)
{
    int found = count_any(NULL, packed, 1);
    return found == -2 ? NULL : PyBool_FromLong(found == 0);
}

static PyObject *
dictionary(const uint64_t *sums)
{
    PyObject *dict = PyDict_New();
    for (long at = 0; dict != NULL && at <= highest - lowest; at++) {
        if (sums[at] == 0) {
            continue;
        }
        PyObject *key = PyLong_FromLong(at + lowest);
        PyObject *value = PyLong_FromUnsignedLongLong(sums[at]);
        if (key == NULL || value == NULL || PyDict_SetItem(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *
merged(PyObject *module, PyObject *sketches)
{
    uint64_t sums[MOST_BUCKETS];
    memset(sums, 0, sizeof(sums));
    if (!PyList_Check(sketches) || PyList_GET_SIZE(sketches) > MOST_SUMMED) {
        PyErr_Format(PyExc_TypeError, "expected a list of at most %d sketches", MOST_SUMMED);
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(sketches); at++) {
        /* A reference of its own: reading it may run Python, which may change the list. */
        PyObject *sketch = Py_NewRef(PyList_GET_ITEM(sketches, at));
        int found = count_any(sums, sketch, 0);
        Py_DECREF(sketch);
        if (found == -2) {
            return NULL;
        }
        if (found < 0) {
            PyErr_Format(PyExc_ValueError, "sketch %zd is not a map of buckets to counts", at);
            return NULL;
        }
    }
    return dictionary(sums);
}

static PyMethodDef methods[] = {
    {"is_sound", is_sound, METH_O, NULL},
    {"merged", merged, METH_O, NULL},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "dashboard.bus._sketches",
    .m_size = -1,
    .m_methods = methods,
};

static long
bound(PyObject *histogram, const char *name)
{
    PyObject *value = PyObject_GetAttrString(histogram, name);
    long bound = value == NULL ? -1 : PyLong_AsLong(value);
    Py_XDECREF(value);
    return bound;
}

PyMODINIT_FUNC
PyInit__sketches(void)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "the compiled sketches work in the main interpreter only");
        return NULL;
    }
    PyObject *histogram = PyImport_ImportModule("breakers.circuit.histogram");
    if (histogram == NULL) {
        return NULL;
    }
    lowest = bound(histogram, "LOWEST");
    highest = bound(histogram, "HIGHEST");
    Py_DECREF(histogram);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (highest - lowest >= MOST_BUCKETS) {
        PyErr_SetString(PyExc_ImportError, "there are more buckets than this was made for");
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL &&
        PyModule_AddObject(module, "SOURCE", PyLong_FromUnsignedLong(SOURCE)) < 0) {
        Py_CLEAR(module);
    }
    return module;
}
