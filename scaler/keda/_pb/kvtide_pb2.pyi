from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("namespace", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Lent(_message.Message):
    __slots__ = ("workers", "reason", "at", "seq", "detail")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    workers: int
    reason: str
    at: float
    seq: int
    detail: str
    def __init__(self, workers: _Optional[int] = ..., reason: _Optional[str] = ..., at: _Optional[float] = ..., seq: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class Scale(_message.Message):
    __slots__ = ("replicas", "reason", "panic", "woken", "at", "seq", "detail", "in_flight")
    class InFlightEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PANIC_FIELD_NUMBER: _ClassVar[int]
    WOKEN_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    reason: str
    panic: bool
    woken: bool
    at: float
    seq: int
    detail: str
    in_flight: _containers.ScalarMap[str, int]
    def __init__(self, replicas: _Optional[int] = ..., reason: _Optional[str] = ..., panic: _Optional[bool] = ..., woken: _Optional[bool] = ..., at: _Optional[float] = ..., seq: _Optional[int] = ..., detail: _Optional[str] = ..., in_flight: _Optional[_Mapping[str, int]] = ...) -> None: ...
