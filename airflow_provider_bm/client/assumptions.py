"""Assumptions about the API that its documentation does not confirm.

If an assumption proves wrong, this is the only place to change it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

#: A filter with several values: ``in(status)=active,draft``.
FILTER_VALUE_SEPARATOR: Final = ","
#: The value of a filter whose operator takes none: ``isnull(last_dt)=true``.
FILTER_WITHOUT_VALUE: Final = "true"
#: ``sort=-created_dt,name``.
SORT_SEPARATOR: Final = ","
#: ``fields=tasks,messages``.
FIELDS_SEPARATOR: Final = ","
#: Rows to request per page. The maximum ``page_size`` is unknown, so the server's ``perPage`` decides.
PAGE_SIZE: Final = 100
#: Lifetime of a token, in seconds, if the response does not contain it. A 401 renews it sooner.
TOKEN_LIFETIME: Final = 3600.0
#: Responses after which it is unknown whether a request was carried out: a gateway may send one while the
#: server behind it continues. A call that is safe to repeat is repeated.
UNKNOWN_OUTCOME_STATUSES: Final = frozenset({408, *range(500, 600)})
#: Responses after which a request was certainly not carried out, and may succeed later: any call is repeated.
NOT_CARRIED_OUT_STATUSES: Final = frozenset({429})
#: After this status a call was not carried out, and can be replayed with a new token.
TOKEN_REJECTED_STATUS: Final = 401
#: ``created_dt`` in the response to a POST is at most this far from the server's time.
CREATED_DT_TOLERANCE: Final = timedelta(minutes=10)
#: Seconds after which a later campaign has a later ``created_dt``, which may have no fractions of a second.
CREATED_DT_RESOLUTION: Final = 1.5
#: Two executions of a campaign are at least this far apart: closer times are one, with different precision.
MIN_EXECUTION_INTERVAL: Final = timedelta(seconds=1)
