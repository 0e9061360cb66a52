"""Every error of the service.

    BillingError
      InvalidInput           well-formed, but breaks a rule (422); names the field in `problems`
        Malformed            cannot be read at all (400)
        TooLarge             over a limit of size (413)
        UnsupportedMediaType a body in a form that is not spoken here (415)
      BodyTooSlow            the body did not come in time (408)
      NotAuthenticated       no key, or one that is not known (401)
      NotAllowed             the key lacks the scope (403)
      NotFound               there is no such thing for this caller (404)
      Conflict               the state forbids it (409)
        PreconditionFailed   If-Match names another version (412)
        NoEInvoice           a document lacks what an e-invoice must say; names it in `problems`
      Overloaded             more is sent than can be taken; send it again (429)
      Unavailable            right now it cannot be answered exactly; try again (503)

An error carries a fixed `slug`, one sentence a customer may read, and facts as fields. It knows no HTTP:
`api/problems.py` gives each family its status.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One fault and where it lies, as a JSON pointer (RFC 6901) into what was sent."""

    pointer: str
    detail: str


class BillingError(Exception):
    """Base of every error that the service raises on purpose."""

    slug = "billing-error"

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    @property
    def title(self) -> str:
        return self.slug.replace("-", " ").capitalize()


class InvalidInput(BillingError):
    """Well-formed, but it breaks a rule; `problems` says which field and why."""

    slug = "invalid-input"

    def __init__(self, detail: str, *, problems: tuple[FieldProblem, ...] = (), **facts: object) -> None:
        super().__init__(detail, **facts)
        self.problems = problems

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidInput:
        return cls(detail, problems=(FieldProblem(pointer, detail),))


class Malformed(InvalidInput):
    slug = "malformed"


class TooLarge(InvalidInput):
    slug = "too-large"


class UnsupportedMediaType(InvalidInput):
    slug = "unsupported-media-type"


class EventsNotKept(Malformed):
    """Of some events of a request nothing is kept, and the dialect it came in has no word for single events."""

    slug = "events-not-kept"


class InvalidCursor(Malformed):
    slug = "invalid-cursor"


class SubscriptionsOverlap(InvalidInput):
    slug = "subscriptions-overlap"


class CurrencyMismatch(InvalidInput):
    slug = "currency-mismatch"


class ThroughInFuture(InvalidInput):
    slug = "through-in-future"


class CreditExceedsLeft(InvalidInput):
    """More of a document or of one of its lines is to be credited than is left of it; `left` says how much is."""

    slug = "credit-exceeds-left"


class NotAuthenticated(BillingError):
    slug = "not-authenticated"


class NotAllowed(BillingError):
    slug = "not-allowed"


class NotFound(BillingError):
    slug = "not-found"


class Conflict(BillingError):
    slug = "conflict"


class PreconditionFailed(Conflict):
    slug = "precondition-failed"


class SubjectTaken(Conflict):
    slug = "subject-taken"


class PeriodAlreadyIssued(Conflict):
    slug = "period-already-issued"


class InvoiceAlreadyIssued(Conflict):
    slug = "invoice-already-issued"


class NotCreditable(Conflict):
    """Only an issued invoice can be credited: no draft, and no credit note."""

    slug = "not-creditable"


class NothingLeftToCredit(Conflict):
    slug = "nothing-left-to-credit"


class DraftHeld(Conflict):
    """Somebody put the draft on hold: it is released first."""

    slug = "draft-held"


class ApprovalRequired(Conflict):
    """What the draft says now has not been approved."""

    slug = "approval-required"


class EarlierPeriodOpen(Conflict):
    slug = "earlier-period-open"


class EventAlreadyCancelled(Conflict):
    slug = "event-already-cancelled"


class PurchaseOrderRequired(Conflict):
    """The buyer takes no document without a purchase order, and has none that is good for this one."""

    slug = "purchase-order-required"


class PurchaseOrderNotUsable(Conflict):
    """The purchase order that a document names is out of date, or less is left of it than the document is about."""

    slug = "purchase-order-not-usable"


class CannotBill(Conflict):
    """A period cannot be billed as the catalog stands: there is no operator, or no tax rate that applies."""

    slug = "cannot-bill"


class NoEInvoice(Conflict):
    """A document lacks what an e-invoice must say; `problems` point into the document as the interface shows it."""

    slug = "no-e-invoice"

    def __init__(self, detail: str, *, problems: tuple[FieldProblem, ...] = (), **facts: object) -> None:
        super().__init__(detail, **facts)
        self.problems = problems


class AmountsDisagree(Conflict):
    """A document's amounts do not follow from one another to the cent, so that it must not be issued."""

    slug = "amounts-disagree"


class ScopesMixed(CannotBill):
    """A seller with a VAT number would bill what is out of the scope of VAT on one document with what is not."""

    slug = "scopes-mixed"


class BodyTooSlow(BillingError):
    slug = "body-too-slow"


class Overloaded(BillingError):
    slug = "overloaded"


class Unavailable(BillingError):
    slug = "unavailable"


class DatabaseBusy(Unavailable):
    """The database does not answer in time, or does not let this transaction through."""

    slug = "database-busy"


class NotReady(Unavailable):
    """The database is not at the schema of this version."""

    slug = "not-ready"


class CatchingUp(Unavailable):
    """The meter is still being brought up to events that were stored before it was made or changed."""

    slug = "catching-up"
