"""The files that accelsim reads, described from the records that read them: fields, JSON Schema, a commented template, a page."""
