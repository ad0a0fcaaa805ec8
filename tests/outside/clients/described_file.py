"""openapi-spec-validator reads a document from a file by the schema of OpenAPI 3.1."""

import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

with open(sys.argv[1], encoding="utf-8") as file:
    errors = list(OpenAPIV31SpecValidator(json.load(file)).iter_errors())
for error in errors[:20]:
    print("/".join(str(part) for part in error.absolute_path), error.message[:300])
raise SystemExit(1 if errors else 0)
