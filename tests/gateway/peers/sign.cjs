// Signs with npm's standardwebhooks, or verifies with it: input and output are those of sign.py.
const { readFileSync } = require("node:fs");
const { Webhook } = require("standardwebhooks");

function answer(message) {
  const webhook = new Webhook(message.secret);
  if (message.headers === undefined) {
    return webhook.sign(message.id, new Date(message.at * 1000), message.body);
  }
  try {
    webhook.verify(message.body, message.headers);
    return "valid";
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
