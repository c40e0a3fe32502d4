// A node:tls server with client certificates that answers CONNECT and PINGREQ and keeps nothing: what Node itself costs.
import { readFileSync } from 'node:fs';
import { constants } from 'node:crypto';
import { createServer } from 'node:tls';
import { generate } from 'mqtt-packet';

const [port, cert, key, ca] = process.argv.slice(2);
if (port === undefined || cert === undefined || key === undefined || ca === undefined) {
  throw new Error('usage: bare-tls-process PORT CERT KEY CA');
}
const welcome = generate({ cmd: 'connack', returnCode: 0, sessionPresent: false });
const pong = generate({ cmd: 'pingresp' });

createServer(
  {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: readFileSync(ca),
    requestCert: true,
    rejectUnauthorized: true,
    noDelay: true,
    // As the broker has it.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
  },
  (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (part: Buffer) => {
      socket.write(part[0] === 0x10 ? welcome : pong);
    });
  },
).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
