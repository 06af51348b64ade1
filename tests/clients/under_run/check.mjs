// Send a test mail through a relay, and see that it arrived.
const { env, argv, exit } = process;
const account = `${env.KEYFACTOR_DOMAIN}\\${env.KEYFACTOR_USERNAME}:${env.KEYFACTOR_PASSWORD}`;
const sent = await fetch(`${env.KEYFACTOR_MOCK_API_URL}/SMTP/Test`, {
  method: "POST",
  headers: {
    authorization: `Basic ${Buffer.from(account).toString("base64")}`,
    "content-type": "application/json",
    "x-keyfactor-api-version": "2",
    "x-keyfactor-requested-with": "APIClient",
  },
  body: JSON.stringify({
    Host: argv[2],
    Port: 25,
    SenderAccount: "ci@keyexample.com",
    SenderName: "CI",
    TestRecipient: "node@keyexample.com",
  }),
});
const messages = `${env.KEYFACTOR_MOCK_CONTROL_URL}/messages`;
const found = sent.ok && (await fetch(`${messages}?recipient=node@keyexample.com&wait=5&expect=1`));
exit(found && found.ok ? 0 : 1);
