// Where the service is: its address, its trust anchors, and the endpoints.json that a running Keyline keeps.
import { dirname, isAbsolute, resolve } from 'node:path';
import type { Endpoints } from '@keyline/api';
import { KeylineError, messageOf } from '@keyline/kernel';

export interface ServiceLocation {
  /** https:// without a slash at the end. */
  readonly api: string;
  /** Trust anchors, PEM. */
  readonly caPem: string;
  /** What endpoints.json says, when it was the source. */
  readonly endpoints?: Endpoints | undefined;
}

/** File names in it may be relative to it. @throws {KeylineError} FILE_UNREADABLE */
export function parseEndpoints(text: string, path: string): Endpoints {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `${path} is not JSON (${messageOf(error)}). Start "keyline up" anew, which writes it.`,
      { cause: error },
    );
  }
  if (!isEndpoints(value)) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `${path} is not an endpoints file: it needs api, http, broker, ca, admin.certificate and admin.key. "keyline up" writes it.`,
    );
  }
  const absolute = (file: string): string =>
    isAbsolute(file) ? file : resolve(dirname(path), file);
  return {
    ...value,
    ca: absolute(value.ca),
    admin: { certificate: absolute(value.admin.certificate), key: absolute(value.admin.key) },
  };
}

function isEndpoints(value: unknown): value is Endpoints {
  const isText = (part: unknown): boolean => typeof part === 'string' && part !== '';
  if (typeof value !== 'object' || value === null) return false;
  const { api, http, broker, ca, admin } = value as Record<string, unknown>;
  if (![api, http, broker, ca].every(isText) || typeof admin !== 'object' || admin === null)
    return false;
  const { certificate, key } = admin as Record<string, unknown>;
  return isText(certificate) && isText(key);
}

/** @throws {KeylineError} USAGE */
export function parseApiUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:') {
    throw new KeylineError(
      'USAGE',
      `"${text.slice(0, 200)}" is not an https:// address of the service.`,
    );
  }
  return url.href.replace(/\/+$/, '');
}
