#!/bin/sh
# Send a test mail through a relay, and see that it arrived.
set -eu
relay=$1
curl -sS --fail -u "$KEYFACTOR_DOMAIN\\$KEYFACTOR_USERNAME:$KEYFACTOR_PASSWORD" \
  -H 'x-keyfactor-requested-with: APIClient' -H 'x-keyfactor-api-version: 2' -H 'Content-Type: application/json' \
  -d "{\"Host\": \"$relay\", \"Port\": 25, \"SenderAccount\": \"ci@keyexample.com\", \"SenderName\": \"CI\",
       \"TestRecipient\": \"sh@keyexample.com\"}" "$KEYFACTOR_MOCK_API_URL/SMTP/Test"
curl -sS --fail "$KEYFACTOR_MOCK_CONTROL_URL/messages?recipient=sh@keyexample.com&wait=5&expect=1" >/dev/null
