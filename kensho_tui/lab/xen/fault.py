"""The failure of a call, as XAPI puts it on the wire: a code and its parameters, all strings.

Follows ``ocaml/xapi-consts/api_errors.ml`` (``Server_error of string * string list``).
"""


class Fault(Exception):
    """What a call answers instead of a value.

    Args:
        code: the error code, such as ``HANDLE_INVALID``.
        params: its parameters, in the order ``ocaml/idl/datamodel_errors.ml`` gives them.
    """

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = params

    @property
    def description(self) -> list[str]:
        """``[code, parameter, …]``: XML-RPC's ``ErrorDescription`` and a task's ``error_info``."""
        return [self.code, *self.params]


def field_not_found(name: str) -> Fault:
    """A constructor's record lacks a field without a default.

    XAPI has no code of its own for this: its dispatcher raises ``Dispatcher_FieldNotFound``
    (``ocaml/xapi/server_helpers.ml``), which ``exnHelper.ml`` turns into an internal error.
    """
    return Fault("INTERNAL_ERROR", f'Server_helpers.Dispatcher_FieldNotFound("{name}")')


def io_error() -> Fault:
    """What every failing disk transfer ends with (``ocaml/xapi/vhd_tool_wrapper.ml``).

    A damaged image, an image larger than the disk, a full repository and a lost connection all
    look the same to the client: the reason is in the host's log only.
    """
    return Fault("VDI_IO_ERROR", "Device I/O errors")
