// Send a test mail through a relay, and see that it arrived.
package main

import (
	"net/http"
	"os"
	"strings"
)

func main() {
	body := `{"Host": "` + os.Args[1] + `", "Port": 25, "SenderAccount": "ci@keyexample.com",
		"SenderName": "CI", "TestRecipient": "go@keyexample.com"}`
	url := os.Getenv("KEYFACTOR_MOCK_API_URL") + "/SMTP/Test"
	send, _ := http.NewRequest("POST", url, strings.NewReader(body))
	user := os.Getenv("KEYFACTOR_DOMAIN") + `\` + os.Getenv("KEYFACTOR_USERNAME")
	send.SetBasicAuth(user, os.Getenv("KEYFACTOR_PASSWORD"))
	send.Header.Set("Content-Type", "application/json")
	send.Header.Set("x-keyfactor-api-version", "2")
	send.Header.Set("x-keyfactor-requested-with", "APIClient")
	control := os.Getenv("KEYFACTOR_MOCK_CONTROL_URL")
	arrived, _ := http.NewRequest("GET", control+"/messages?recipient=go@keyexample.com&wait=5&expect=1", nil)
	for _, request := range []*http.Request{send, arrived} {
		answer, err := http.DefaultClient.Do(request)
		if err != nil || answer.StatusCode != 200 {
			os.Exit(1)
		}
	}
}
