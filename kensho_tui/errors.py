"""The root of every error an operator may see: what happened, to what, and what to do about it."""


class KenshoError(Exception):
    """An error with the three things an operator needs.

    Args:
        what: what happened, one clause without a full stop ("the manifest does not match").
        subject: the object it happened to, as the operator knows it ("shop.ova: disk1.vmdk").
        remedy: what can be done, one sentence without a full stop; empty where nothing can.
        retryable: whether the same call may succeed later without anyone changing anything.
    """

    def __init__(
        self, what: str, *, subject: str = "", remedy: str = "", retryable: bool = False
    ) -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.remedy = remedy
        self.retryable = retryable

    def __str__(self) -> str:
        """One line: ``subject: what. Remedy.``"""
        head = f"{self.subject}: {self.what}" if self.subject else self.what
        if not self.remedy:
            return head
        return f"{head}. {self.remedy}{'' if self.remedy.endswith('?') else '.'}"
