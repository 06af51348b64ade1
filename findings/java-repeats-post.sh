#!/bin/sh
# Java's HttpURLConnection sends a POST a second time, without a word to its caller, when the server closes
# the connection before the first octet of an answer; HTTP says that only idempotent requests may be repeated
# by themselves (RFC 9110, 9.2.2). The property sun.net.http.retryPost=false ends that. java.net.http.HttpClient
# does not repeat it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/Post.java" << 'EOF'
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Post {
    public static void main(String[] args) throws Exception {
        URI uri = URI.create(args[0]);
        try {
            if (args[1].equals("HttpClient")) {
                var request = HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofString("x"));
                HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.discarding());
            } else {
                var connection = (HttpURLConnection) uri.toURL().openConnection();
                connection.setDoOutput(true);
                connection.getOutputStream().write('x');
                connection.getResponseCode();
            }
        } catch (java.io.IOException error) {
            System.out.println(error);
        }
    }
}
EOF
cat > "$folder/count.py" << 'EOF'
import http.server
import subprocess
import sys
import threading

found = []


class Closes(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found.append(self.command)
        self.close_connection = True

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Closes)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
*options, client = sys.argv[1:]
subprocess.run(["java", *options, "Post.java", url, client], check=True, timeout=60)
print(" ".join([*options, client]), len(found))
EOF
cd "$folder"
java -version 2>&1 | head -1
python3 count.py HttpURLConnection | tee output.txt
python3 count.py -Dsun.net.http.retryPost=false HttpURLConnection | tee -a output.txt
python3 count.py HttpClient | tee -a output.txt
grep -qx 'HttpURLConnection 2' output.txt
grep -qx -- '-Dsun.net.http.retryPost=false HttpURLConnection 1' output.txt
grep -qx 'HttpClient 1' output.txt
