#!/bin/sh
# Nine clients, one id and one secret, four different Authorization headers at a token endpoint.
#
# RFC 6749, 2.3.1: a client encodes its id and its secret as a form does (application/x-www-form-urlencoded, UTF-8) before
# it joins them with a colon for HTTP Basic. Only oauth4webapi, openid-client and simple-oauth2 do so unasked. A token endpoint
# that goes by the rule refuses the others when the secret has a plus, a percent sign or a letter outside ASCII; one that takes
# the header as it is refuses these three.
#
# Asks a server on loopback for a token with each, and compares the credentials that arrive with those seen on 2026-11-27.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --quiet --disable-pip-version-check \
  requests==2.34.2 requests-oauthlib==2.0.0 authlib==1.9.6 requests-oauth2client==1.8.0 httpx==0.28.1
npm install --silent --no-audit --no-fund --ignore-scripts \
  oauth4webapi@3.8.8 openid-client@6.8.9 @badgateway/oauth2-client@3.3.1 simple-oauth2@5.1.0

cat > server.py <<'PYTHON'
import base64, http.server, json, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        scheme, _, value = self.headers["authorization"].partition(" ")
        with open("seen", "a") as seen:
            print(self.path.split("/")[1], ascii(base64.b64decode(value).decode("latin-1")), file=seen)
        body = json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 60}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path("port.part").write_text(str(server.server_port))
pathlib.Path("port.part").rename("port")
server.timeout = 60
for _ in range(10):
    server.handle_request()
PYTHON
python3 server.py & server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
while [ ! -e port ]; do kill -0 $server; sleep 0.05; done
export PORT="$(cat port)" OAUTHLIB_INSECURE_TRANSPORT=1 NO_PROXY=127.0.0.1 ID='app+1' SECRET='p:w%41 +ü' PYTHONIOENCODING=utf-8

cat > clients.py <<'PYTHON'
import os, warnings
warnings.simplefilter("ignore")
import httpx, requests
from authlib.integrations.requests_client import OAuth2Session as Authlib
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauth2client import ClientSecretBasic, OAuth2Client
from requests_oauthlib import OAuth2Session
base, me = f"http://127.0.0.1:{os.environ['PORT']}", (os.environ["ID"], os.environ["SECRET"])
form = {"grant_type": "client_credentials"}
requests.post(f"{base}/requests/token", form, auth=me)
httpx.post(f"{base}/httpx/token", data=form, auth=me)
OAuth2Session(client=BackendApplicationClient(me[0])).fetch_token(f"{base}/requests-oauthlib/token", auth=HTTPBasicAuth(*me))
Authlib(*me).fetch_token(f"{base}/Authlib/token", grant_type="client_credentials")
OAuth2Client(f"{base}/requests-oauth2client/token", auth=ClientSecretBasic(*me), testing=True).client_credentials()
PYTHON
venv/bin/python clients.py

cat > clients.mjs <<'NODE'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { OAuth2Client } from '@badgateway/oauth2-client'
import { ClientCredentials } from 'simple-oauth2'
const { PORT, ID, SECRET } = process.env
const at = (name) => `http://127.0.0.1:${PORT}/${name}`
const http = { [oauth.allowInsecureRequests]: true }
await oauth.clientCredentialsGrantRequest(
  { issuer: at('x'), token_endpoint: at('oauth4webapi') }, { client_id: ID }, oauth.ClientSecretBasic(SECRET), {}, http)
const config = new openid.Configuration(
  { issuer: at('x'), token_endpoint: at('openid-client') }, ID, {}, openid.ClientSecretBasic(SECRET))
openid.allowInsecureRequests(config)
await openid.clientCredentialsGrant(config)
const badgateway = (name, authenticationMethod) => new OAuth2Client({
  tokenEndpoint: at(name), clientId: ID, clientSecret: SECRET, authenticationMethod }).clientCredentials()
await badgateway('badgateway')
await badgateway('badgateway-basic', 'client_secret_basic')
// It takes no letter outside ASCII (RFC 6749, appendix A.2).
await new ClientCredentials({ client: { id: ID, secret: SECRET.slice(0, -1) },
  auth: { tokenHost: at('x'), tokenPath: '/simple-oauth2' } }).getToken({})
NODE
node clients.mjs
wait $server

cat > expected <<'SEEN'
requests 'app+1:p:w%41 +\xfc'
httpx 'app+1:p:w%41 +\xc3\xbc'
requests-oauthlib 'app+1:p:w%41 +\xfc'
Authlib 'app+1:p:w%41 +\xfc'
requests-oauth2client 'app+1:p:w%41 +\xc3\xbc'
oauth4webapi 'app%2B1:p%3Aw%2541+%2B%C3%BC'
openid-client 'app%2B1:p%3Aw%2541+%2B%C3%BC'
badgateway 'app+1:p%3Aw%41 +\xfc'
badgateway-basic 'app%2B1:p%3Aw%2541+%2B%C3%BC'
simple-oauth2 'app%2B1:p%3Aw%2541+%2B'
SEEN
cat seen
cmp expected seen
