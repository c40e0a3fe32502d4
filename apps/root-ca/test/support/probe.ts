// Stands in for main.ts in a copy of the tree, under the launcher's own flags, and tries what must be refused.
// Arguments as main.ts gets them: --dir FOLDER probe PORT OUTSIDE.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import dns from 'node:dns/promises';
import { once, type EventEmitter } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import inspector from 'node:inspector';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { Worker } from 'node:worker_threads';

const folder = process.argv[3] ?? '';
const port = Number(process.argv[5]);
const outside = process.argv[6] ?? '';
const host = '127.0.0.1';
const secret = join(outside, 'secret');

// The types do not know it yet.
const ffi: string = 'node:ffi';

const event = (emitter: EventEmitter, name: string): Promise<unknown> => once(emitter, name);

const attempts: Record<string, () => unknown> = {
  'net.connect': () => event(net.connect(port, host), 'connect'),
  'net.connect to a socket file': () => event(net.connect(join(folder, 'socket')), 'connect'),
  'net.listen': () => event(net.createServer().listen(0), 'listening'),
  'tls.connect': () => event(tls.connect(port, host), 'secureConnect'),
  'http.get': () => event(http.get({ host, port }), 'response'),
  'https.get': () => event(https.get({ host, port }), 'response'),
  'http2.connect': () => event(http2.connect(`http://${host}:${port}`), 'connect'),
  fetch: () => fetch(`http://${host}:${port}`),
  WebSocket: () =>
    new Promise((done, reject) => {
      const socket = new WebSocket(`ws://${host}:${port}`);
      socket.onopen = done;
      socket.onerror = () => reject(new Error('error event'));
    }),
  'dns.lookup': () => dns.lookup('localhost'),
  'dns.resolve': () => dns.resolve('example.com'),
  'dgram.send': () =>
    new Promise((done, reject) => {
      const socket = createSocket('udp4').on('error', reject);
      socket.send('x', port, host, (error) => (error ? reject(error) : done('sent')));
    }),
  'dgram.bind': () => event(createSocket('udp4').bind(0), 'listening'),
  'starting a program': () => execFileSync('/bin/true'),
  'starting a thread': () => event(new Worker('0', { eval: true }), 'online'),
  'loading native code': () => process.dlopen({ exports: {} }, join(folder, 'addon.node')),
  'opening the debugger': () => inspector.open(0),
  WASI: async () => new (await import('node:wasi')).WASI({ version: 'preview1' }),
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, no-new-func -- this is what must be refused
  'code from a string': () => new Function('return 1')(),
  'node:sqlite': async () =>
    new (await import('node:sqlite')).DatabaseSync(join(outside, 'written')),
  'node:ffi': () => import(ffi),
  'process.binding': () => (process as unknown as { binding(name: string): unknown }).binding('fs'),
  'reading outside': () => fs.readFileSync(secret),
  'listing outside': () => fs.readdirSync(outside),
  'asking about a file outside': () => fs.statSync(secret),
  'writing outside': () => fs.writeFileSync(join(outside, 'written'), 'x'),
  'writing over the program': () => fs.writeFileSync(import.meta.filename, 'x'),
  'linking to a file outside': () => fs.linkSync(secret, join(folder, 'hard')),
  'linking symbolically to a file outside': () => fs.symlinkSync(secret, join(folder, 'soft')),
  'moving a file outside': () => fs.renameSync(join(folder, 'probe'), join(outside, 'written')),
  'reading and writing inside': () => {
    fs.writeFileSync(join(folder, 'probe'), 'inside');
    return fs.readFileSync(join(folder, 'probe'), 'utf8');
  },
  environment: () => Object.keys(process.env).sort().join(),
};

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error) return String(error.code);
  return error.cause === undefined ? error.message : codeOf(error.cause);
}

/** Each attempt and `done: …` or `refused: CODE`. */
export type ProbeResults = Record<string, string>;

const results: ProbeResults = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    const late = new Promise((done) => setTimeout(done, 5000, 'not refused in 5 s').unref());
    results[name] = `done: ${String(await Promise.race([attempt(), late]))}`;
  } catch (error) {
    results[name] = `refused: ${codeOf(error)}`;
  }
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
