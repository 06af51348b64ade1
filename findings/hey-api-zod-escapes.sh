#!/usr/bin/env bash
# The zod plugin of @hey-api/openapi-ts writes a pattern's escapes as the characters themselves.
#
# `^[^\u2028]$` is a regular expression of ECMA-262. In the source that is written for it stands the
# line separator itself, which ends a regular expression literal: the file does not parse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit @hey-api/openapi-ts@0.99.0 typescript@5.9.3 zod@4.6.7
cat > document.yaml <<'YAML'
openapi: 3.1.0
info: {title: A pattern, version: "1"}
paths: {}
components:
  schemas:
    Line: {type: string, pattern: '^[^\u2028]$'}
YAML
node_modules/.bin/openapi-ts --input document.yaml --output out --plugins zod > log 2>&1
npm list @hey-api/openapi-ts typescript | tail -n +2
if node_modules/.bin/tsc --noEmit --skipLibCheck out/zod.gen.ts > errors; then
  echo "the file compiles"
  exit 1
fi
head -1 errors
grep --quiet 'error TS1161: Unterminated regular expression literal' errors
