import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Base64;

/** Send a test mail through a relay, and see that it arrived. */
class Check {
    public static void main(String[] args) throws Exception {
        var env = System.getenv();
        var account = env.get("KEYFACTOR_DOMAIN") + "\\" + env.get("KEYFACTOR_USERNAME") + ":"
            + env.get("KEYFACTOR_PASSWORD");
        var body = "{\"Host\": \"" + args[0] + "\", \"Port\": 25, \"SenderAccount\": \"ci@keyexample.com\","
            + " \"SenderName\": \"CI\", \"TestRecipient\": \"java@keyexample.com\"}";
        var http = HttpClient.newHttpClient();
        var send = HttpRequest.newBuilder(URI.create(env.get("KEYFACTOR_MOCK_API_URL") + "/SMTP/Test"))
            .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(account.getBytes()))
            .header("Content-Type", "application/json")
            .header("x-keyfactor-api-version", "2")
            .header("x-keyfactor-requested-with", "APIClient")
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        var arrived = HttpRequest.newBuilder(URI.create(env.get("KEYFACTOR_MOCK_CONTROL_URL")
            + "/messages?recipient=java@keyexample.com&wait=5&expect=1")).build();
        for (var request : new HttpRequest[] {send, arrived}) {
            if (http.send(request, BodyHandlers.ofString()).statusCode() != 200) System.exit(1);
        }
    }
}
