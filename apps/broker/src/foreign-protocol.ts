// Who speaks something else than MQTT on MQTT's port: told apart by their first bytes, and answered in their own words where they have some.

/** What people point at a broker by mistake. */
export type ForeignProtocol = 'http' | 'websocket';

const httpMethods = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) /;
/** Of what a browser or a client library sends first, all that is looked at. */
const lookedAt = 4096;

/**
 * @param first the first bytes of a connection. An MQTT client's begin with 0x10, a CONNECT; no packet that it may send begins with a letter
 * in capitals, as the methods of HTTP do
 */
export function findForeignProtocol(first: Buffer): ForeignProtocol | undefined {
  if (first[0] === 0x10) return undefined;
  const text = first.toString('latin1', 0, lookedAt);
  if (!httpMethods.test(text)) return undefined;
  return /^upgrade:\s*websocket\s*$/im.test(text) ? 'websocket' : 'http';
}

/** What a person who points a browser or curl there reads. */
export function httpAnswer(text: string): Buffer {
  const body = Buffer.from(`${text}\n`);
  return Buffer.concat([
    Buffer.from(
      [
        'HTTP/1.1 400 Bad Request',
        'Content-Type: text/plain; charset=utf-8',
        `Content-Length: ${String(body.length)}`,
        'Cache-Control: no-store',
        'Connection: close',
        '\r\n',
      ].join('\r\n'),
    ),
    body,
  ]);
}

/** Said to HTTP before TLS, too: there is nothing in it that is not to be known. */
export const notHttp =
  'This is the port of an MQTT broker: it speaks MQTT over TLS, and no HTTP. Connect an MQTT client to it with mqtts://. Devices are enrolled, and the API is asked, at the address of the issuing CA.';
