"""What the vendor has not published and this package assumes, in one place.

Each line is one fact that may prove wrong, and the only place to change then. What is *known* of the
API stands where it is used.
"""

from __future__ import annotations

from typing import Final

#: A filter with several values: ``in(status)=active,draft``.
FILTER_VALUE_SEPARATOR: Final = ","
#: What stands after ``=`` where an operator takes no value: ``isnull(last_dt)=true``.
FILTER_WITHOUT_VALUE: Final = "true"
#: ``sort=-created_dt,name``.
SORT_SEPARATOR: Final = ","
#: ``fields=tasks,messages``.
FIELDS_SEPARATOR: Final = ","
#: Rows to ask for in a page. The largest ``page_size`` is unknown: the server's ``perPage`` is believed.
PAGE_SIZE: Final = 100
#: Seconds that a token is used for if the reply does not say (a renewal on 401 covers the rest).
TOKEN_LIFETIME: Final = 3600.0
#: Responses after which it is unknown whether a request was carried out: a gateway may send one while the
#: server behind it continues. A call that is safe to repeat is repeated.
UNKNOWN_OUTCOME_STATUSES: Final = frozenset({408, *range(500, 600)})
#: Responses after which a request was certainly not carried out, and may succeed later: any call is repeated.
NOT_CARRIED_OUT_STATUSES: Final = frozenset({429})
