"""Lints the chart argv[1] with the values argv[2] (JSON) and prints what helm makes of them."""

import json
import sys

from helm_python import chart

folder, values = sys.argv[1], json.loads(sys.argv[2])
report = chart.lint(folder, values, strict=True)
# 1 is a hint (no icon); from 2 on helm is not content.
found = [line for line in report["messages"] if line["severity"] != 1] + report["errors"]
if found:
    sys.exit(json.dumps(found, indent=1))
with chart.Chart.load(folder) as loaded:
    made = loaded.render(values, name="suite", namespace="nexus")
print(json.dumps(made))
