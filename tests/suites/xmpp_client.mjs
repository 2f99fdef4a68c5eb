// Logs in with @xmpp/client, and sends itself a message: PORT NAME PASSWORD.
// The exit status is 0 when the message has come back.
import { createRequire } from "node:module";

const [port, username, password] = process.argv.slice(2);
const { client, xml } = createRequire(`${process.cwd()}/`)("@xmpp/client");
const words = "Good morrow.";

const xmpp = client({
  service: `xmpp://127.0.0.1:${port}`,
  domain: "localhost",
  username,
  password,
});
const give = setTimeout(() => fail("nothing came back"), 30_000);

function fail(why) {
  console.error(why);
  process.exit(1);
}

xmpp.on("error", fail);
xmpp.on("online", async (address) => {
  await xmpp.iqCaller.get(xml("query", { xmlns: "jabber:iq:roster" }));
  await xmpp.send(xml("presence"));
  await xmpp.send(
    xml("message", { type: "chat", to: address.toString() }, xml("body", {}, words)),
  );
});
xmpp.on("stanza", async (stanza) => {
  if (stanza.is("message") && stanza.getChildText("body") === words) {
    clearTimeout(give);
    await xmpp.stop();
  }
});
await xmpp.start();
