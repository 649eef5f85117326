/*
 * verify.js
 *	  Code for receivers: how to verify a signature.
 */
import {code, h} from './dom.js';

const node = `// npm install standardwebhooks
import {Webhook} from 'standardwebhooks';

app.post('/hooks', express.raw({type: 'application/json'}), (request, response) => {
  let event;
  try {
    event = new Webhook(process.env.WEBHOOK_SECRET).verify(request.body, request.headers);
  } catch {
    return response.sendStatus(400);
  }
  // event.Id is the same on every attempt: ignore what was handled before.
  response.sendStatus(204);
});`;

const python = `# no package needed
import base64, hashlib, hmac, time

def verify(secret: str, headers, body: bytes) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    recent = abs(time.time() - int(headers["webhook-timestamp"])) <= 300
    return recent and any(hmac.compare_digest(f"v1,{expected}", s)
                          for s in headers["webhook-signature"].split(" "))`;

const csharp = `// no package needed
static bool Verify(string secret, IHeaderDictionary headers, byte[] body)
{
    var key = Convert.FromBase64String(secret["whsec_".Length..]);
    var head = Encoding.UTF8.GetBytes($"{headers["webhook-id"]}.{headers["webhook-timestamp"]}.");
    var expected = "v1," + Convert.ToBase64String(
        HMACSHA256.HashData(key, head.Concat(body).ToArray()));
    var age = DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(headers["webhook-timestamp"]!);
    return Math.Abs(age) <= 300 && headers["webhook-signature"].ToString().Split(' ').Any(s =>
        CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(s), Encoding.UTF8.GetBytes(expected)));
}`;

export function verifyCode()
{
	return h('section', {class: 'card'},
		h('h2', {}, 'Verify a request'),
		h('p', {class: 'about'},
			'A receiver verifies the signature over the body as it came, byte for byte, before it reads the JSON.'),
		[['Node', node, true], ['Python', python], ['C#', csharp]].map(([name, text, open]) =>
			h('details', {open}, h('summary', {}, name), code(text, `${name} code`, 'snippet'))));
}
