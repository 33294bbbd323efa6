"""The face of the audit: exact facts of the method that was recognised, and reports as text and HTML."""

from belm.audit.exact import with_facts
from belm.audit.page import as_html
from belm.audit.text import as_text

__all__ = ["as_html", "as_text", "with_facts"]
