"""openapi-spec-validator reads the merged document by the schema of OpenAPI 3.1.

Beside what the schema says it finds parameters without a place in their path, references that lead
nowhere and operations of one name.
"""

import os

import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

document = requests.get(os.environ["NEXUS_URL"] + "/openapi.json", timeout=60).json()
errors = list(OpenAPIV31SpecValidator(document).iter_errors())
for error in errors[:20]:
    print("/".join(str(part) for part in error.absolute_path), error.message[:300])
raise SystemExit(1 if errors else 0)
