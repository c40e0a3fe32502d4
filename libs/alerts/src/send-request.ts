// One HTTP request to a webhook, with trust of our own: node:https, because fetch takes no CA.
import { request as requestPlain } from 'node:http';
import { request as requestTls, type RequestOptions } from 'node:https';

export interface WebhookRequest {
  readonly url: string;
  readonly method: 'POST' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM; whose certificates the server may have. */
  readonly ca: readonly string[];
  /** Ends it, whatever it waits for. */
  readonly signal: AbortSignal;
}

/** The status of the answer; what stands in it is not read, and a redirect is not followed. Rejects when there is none. */
export function sendRequest(given: WebhookRequest): Promise<number> {
  const { url, method, headers, body, ca, signal } = given;
  return new Promise((resolve, reject) => {
    const isTls = new URL(url).protocol === 'https:';
    const options: RequestOptions = {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
      // A connection of its own: alerts are rare, and what was kept open is closed at the other end by then.
      agent: false,
      signal,
      ...(isTls ? { ca: [...ca] } : {}),
    };
    const request = isTls ? requestTls(url, options) : requestPlain(url, options);
    request.once('response', (response) => {
      response.on('error', () => undefined);
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    request.once('error', reject);
    request.end(body);
  });
}
