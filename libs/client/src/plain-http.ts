// Plain HTTP as relying parties use it: bounded, with plain words when it fails.
import { request as httpRequest } from 'node:http';
import { KeylineError } from '@keyline/kernel';
import { whyUnreachable } from './transport.ts';

const maxBytes = 64 * 1024 * 1024;
const timeout = 10_000;

export interface PlainAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** GET, or POST when there is a body. @throws {KeylineError} SERVICE_UNREACHABLE */
export async function fetchPlain(
  url: string,
  body?: { readonly type: string; readonly bytes: Uint8Array },
): Promise<PlainAnswer> {
  try {
    return await new Promise<PlainAnswer>((resolve, reject) => {
      const request = httpRequest(url, {
        method: body === undefined ? 'GET' : 'POST',
        timeout,
        headers:
          body === undefined
            ? {}
            : { 'content-type': body.type, 'content-length': body.bytes.length },
      });
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', reject);
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on('data', (part: Buffer) => {
          length += part.length;
          if (length > maxBytes) request.destroy(new Error('the answer is too large'));
          else parts.push(part);
        });
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            contentType: response.headers['content-type'] ?? '',
            bytes: Buffer.concat(parts),
          });
        });
      });
      request.end(body?.bytes);
    });
  } catch (error) {
    throw new KeylineError('SERVICE_UNREACHABLE', whyUnreachable(url, error), { cause: error });
  }
}
