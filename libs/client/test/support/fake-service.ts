// The REST contract served from a table of answers over real HTTPS: just enough of a service to see what the CLI sends and prints.
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { problemOf, routes, type RouteName } from '@keyline/api';
import { isKeylineError, KeylineError } from '@keyline/kernel';

export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly request: IncomingMessage;
}

/** What it is served with. */
export interface Place {
  /** Of the authority, which is also the server's certificate. */
  readonly caPem: string;
  readonly caKeyPem: string;
  /** Of the file `test-ca.pem`, for the options of the command line. */
  path(name: string): string;
}

/** Answers with a document (the contract's status), `{ status, document }`, or throws a KeylineError. */
export type Answer = (call: Call) => unknown;
export type Raw = (request: IncomingMessage, response: ServerResponse) => void;

export interface FakeService {
  readonly url: string;
  readonly calls: { readonly name: string; readonly call: Call }[];
  /** The options by which the CLI finds it. */
  readonly options: readonly string[];
  answers: Partial<Record<RouteName, Answer>>;
  /** Takes over a path whole, for streams and broken connections. */
  raw: Map<string, Raw>;
  close(): Promise<void>;
}

export class WithStatus {
  readonly status: number;
  readonly document: unknown;
  constructor(status: number, document: unknown) {
    this.status = status;
    this.document = document;
  }
}

export async function startFakeService(place: Place): Promise<FakeService> {
  const server = createServer({
    cert: place.caPem,
    key: place.caKeyPem,
    requestCert: true,
    rejectUnauthorized: false,
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const service: FakeService = {
    url: `https://127.0.0.1:${String(port)}`,
    calls: [],
    options: ['--api', `https://127.0.0.1:${String(port)}`, '--ca', place.path('test-ca.pem')],
    answers: {},
    raw: new Map(),
    close: () => closeServer(server),
  };
  server.on('request', (request, response) => {
    void serve(service, place, request, response);
  });
  return service;
}

async function serve(
  service: FakeService,
  place: Place,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', service.url);
  const raw = service.raw.get(url.pathname);
  if (raw !== undefined) {
    raw(request, response);
    return;
  }
  if (url.pathname === '/v1/trust-bundle') {
    response.end(place.caPem);
    return;
  }
  try {
    const { name, params } = findRoute(request.method ?? '', url.pathname);
    const text = await readAll(request);
    const call: Call = {
      params,
      query: url.searchParams,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
      request,
    };
    service.calls.push({ name, call });
    const answer = service.answers[name];
    if (answer === undefined) throw new KeylineError('NOT_FOUND', `no answer for ${name}`);
    const given = await answer(call);
    const { status, document } =
      given instanceof WithStatus ? given : new WithStatus(routes[name].status, given);
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify(document));
  } catch (error) {
    const { code, detail } = isKeylineError(error)
      ? error
      : new KeylineError('INTERNAL', String(error));
    const [status, title] = problemOf(code);
    response.writeHead(status, { 'content-type': 'application/problem+json' });
    response.end(
      JSON.stringify({ type: `urn:keyline:error:${code}`, title, status, code, detail }),
    );
  }
}

function findRoute(
  method: string,
  path: string,
): { name: RouteName; params: Record<string, string> } {
  for (const [name, route] of Object.entries(routes)) {
    const pattern = new RegExp(`^${route.url.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`);
    const match = pattern.exec(path);
    if (route.method !== method || match === null) continue;
    const params = Object.entries(match.groups ?? {}).map(([key, value]) => [
      key,
      decodeURIComponent(value),
    ]);
    return {
      name: name as RouteName,
      params: Object.fromEntries(params) as Record<string, string>,
    };
  }
  throw new KeylineError('NOT_FOUND', `there is no ${method} ${path}`);
}

export async function readAll(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => {
      done();
    });
    server.closeAllConnections();
  });
}
