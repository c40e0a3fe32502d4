// HTTPS with keep-alive to one service, and plain words for why it can't be reached. What bodies mean is api-client's matter.
import { X509Certificate } from 'node:crypto';
import { Agent, request as httpsRequest } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { Caller } from './caller.ts';

export interface TransportOptions {
  /** https:// base URL. */
  readonly api: string;
  readonly caPem: string;
  readonly caller: Caller;
  /** Milliseconds without a byte before the service counts as gone. */
  readonly timeout?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

const maxAnswerBytes = 64 * 1024 * 1024;

export class Transport {
  readonly #agent: Agent;
  readonly #api: string;
  readonly #timeout: number;
  readonly #headers: OutgoingHttpHeaders;

  /** @throws {KeylineError} FILE_UNREADABLE when the certificate and its key do not fit together */
  constructor(options: TransportOptions) {
    this.#api = options.api;
    this.#timeout = options.timeout ?? 30_000;
    const { caller } = options;
    this.#agent = new Agent({
      keepAlive: true,
      secureContext: createTlsContext(options.caPem, caller),
    });
    this.#headers =
      caller.via === 'token' ? { authorization: `Bearer ${caller.token.reveal()}` } : {};
  }

  /** One request with its whole answer. @throws {KeylineError} SERVICE_UNREACHABLE */
  async send(method: string, path: string, body?: unknown): Promise<HttpAnswer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { request, answer } = this.open(method, path, {
      accept: 'application/json, application/problem+json, */*;q=0.1',
      ...(text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    });
    request.end(text);
    const response = await answer;
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: await this.collect(response),
    };
  }

  /** A request whose body the caller writes; `answer` fails with SERVICE_UNREACHABLE. */
  open(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
  ): { request: ClientRequest; answer: Promise<IncomingMessage> } {
    let request: ClientRequest;
    try {
      request = httpsRequest(`${this.#api}${path}`, {
        method,
        agent: this.#agent,
        headers: { ...this.#headers, ...headers },
        timeout: this.#timeout,
      });
    } catch (error) {
      throw this.unreachable(error);
    }
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', (error) => {
        reject(this.unreachable(error));
      });
      request.on('timeout', () => {
        request.destroy(new Error(`no answer for ${String(this.#timeout / 1000)} s`));
      });
    });
    return { request, answer };
  }

  /** The whole body as text. @throws {KeylineError} SERVICE_UNREACHABLE */
  async collect(response: IncomingMessage): Promise<string> {
    const parts: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        bytes += part.length;
        if (bytes > maxAnswerBytes) throw new Error('the answer is too large');
        parts.push(part);
      }
    } catch (error) {
      throw this.unreachable(error);
    }
    return Buffer.concat(parts).toString('utf8');
  }

  unreachable(error: unknown): KeylineError {
    return new KeylineError('SERVICE_UNREACHABLE', whyUnreachable(this.#api, error), {
      cause: error,
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** @throws {KeylineError} FILE_UNREADABLE naming what is not what it should be */
function createTlsContext(caPem: string, caller: Caller): SecureContext {
  const attempt = (what: string, create: () => SecureContext): SecureContext => {
    try {
      return create();
    } catch (error) {
      throw new KeylineError('FILE_UNREADABLE', `${what}: ${messageOf(error)}.`, { cause: error });
    }
  };
  const trust = { ca: caPem, minVersion: 'TLSv1.3' } as const;
  const anonymous = attempt('The trust anchors (--ca) are no certificates in PEM', () => {
    // OpenSSL takes a file without any certificate in silence.
    new X509Certificate(caPem);
    return createSecureContext(trust);
  });
  if (caller.via !== 'certificate') return anonymous;
  return attempt(
    'The client certificate and its key are not in PEM, or do not belong together',
    () => createSecureContext({ ...trust, cert: caller.certificatePem, key: caller.keyPem }),
  );
}

/** The sentence for a failed connection: what is wrong and what to do. */
export function whyUnreachable(url: string, error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  switch (code) {
    case 'ECONNREFUSED':
      return `Nothing listens at ${url}. Start Keyline with "keyline up --data .keyline", or check the address.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The name in ${url} can't be resolved. Check the address.`;
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'CERT_SIGNATURE_FAILURE':
      return `The service at ${url} shows a certificate of another authority. Give the trust anchors of that service (--ca FILE, or its own endpoints.json).`;
    case 'CERT_HAS_EXPIRED':
      return `The certificate of ${url} has expired. Restart "keyline up" so that it is renewed, and check this machine's clock.`;
    case 'CERT_NOT_YET_VALID':
      return `The certificate of ${url} is not valid yet. Check this machine's clock.`;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `The certificate of ${url} is for another name. Call the service by a name in its certificate.`;
    default:
      return `The service at ${url} can't be reached: ${messageOf(error)}.`;
  }
}
