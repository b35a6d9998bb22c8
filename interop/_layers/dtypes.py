"""The dtypes that torch has, by their names, as numpy and ml_dtypes have them."""

import ml_dtypes
import numpy as np

_NUMPY = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64 complex64 complex128"
_ML_DTYPES = "bfloat16 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
DTYPES = {name: np.dtype(name) for name in _NUMPY.split()}
DTYPES |= {name: np.dtype(getattr(ml_dtypes, name)) for name in _ML_DTYPES.split()}
