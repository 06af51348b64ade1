#!/usr/bin/env bash
# OpenAPI Generator forgets the type of a nullable reference to a schema with `if` beside `then`.
#
# OpenAPI 3.1 writes a nullable reference as `anyOf` with `type: "null"`. Where the schema that it
# refers to has `if` and `then` beside each other, the property becomes `Any`, without a word; with
# `if` beside `else`, which says the same of the opposite condition, it keeps its type.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openapi-generator-cli==7.26.0
jar=$(echo "$folder"/venv/lib/*/site-packages/openapi_generator_cli/openapi-generator.jar)
echo "OpenAPI Generator $(java -jar "$jar" version)"
for keyword in then else; do
  cat > "$folder/document.yaml" <<YAML
openapi: 3.1.0
info: {title: Nullable reference, version: "1"}
paths: {}
components:
  schemas:
    Box:
      type: object
      properties:
        content:
          anyOf:
            - \$ref: "#/components/schemas/Content"
            - type: "null"
    Content:
      type: object
      properties:
        name: {type: string}
        size: {type: integer}
      if: {required: [name]}
      $keyword: {required: [size]}
YAML
  java -jar "$jar" generate --generator-name python --input-spec "$folder/document.yaml" \
    --output "$folder/$keyword" > "$folder/log" 2>&1
  type=$(sed -n 's/^    content: \(Optional[^ ]*\) .*/\1/p' "$folder/$keyword/openapi_client/models/box.py")
  echo "$keyword: $type" | tee -a "$folder/output"
done
diff "$folder/output" - <<< "then: Optional[Any]
else: Optional[Content]"
