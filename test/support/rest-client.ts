// The REST API as any HTTP client sees it: no types of the contract, so that a test can send what it likes.
import { Agent, request } from 'node:https';

export interface TlsProof {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Parsed when the answer is JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into documents they have just asked for
  readonly body: any;
}

export interface Call {
  /** An object is sent as JSON; text and bytes as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export class RestClient {
  readonly #api: string;
  readonly #agent: Agent;

  constructor(api: string, proof: TlsProof) {
    this.#api = api;
    this.#agent = new Agent({ keepAlive: true, ...proof });
  }

  get(path: string, call: Call = {}): Promise<Answer> {
    return this.send('GET', path, call);
  }

  post(path: string, body: unknown = {}, call: Call = {}): Promise<Answer> {
    return this.send('POST', path, { ...call, body });
  }

  /** Any answer counts; only a connection that breaks rejects. */
  send(method: string, path: string, { body, headers = {} }: Call = {}): Promise<Answer> {
    const isRaw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const content = isRaw ? body : JSON.stringify(body);
    const length = content === undefined ? {} : { 'content-length': Buffer.byteLength(content) };
    const type = isRaw ? {} : { 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const call = request(`${this.#api}${path}`, {
        method,
        agent: this.#agent,
        headers: { ...type, ...length, ...headers },
        timeout: 30_000,
      });
      call.on('timeout', () => call.destroy(new Error(`no answer to ${method} ${path} for 30 s`)));
      call.on('error', reject);
      call.on('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          const isJson = /[/+]json/.test(response.headers['content-type'] ?? '');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            body: isJson ? JSON.parse(text) : undefined,
          });
        });
      });
      call.end(content);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
