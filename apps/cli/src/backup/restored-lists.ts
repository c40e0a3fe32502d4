// CRLs that were published after a backup, from files or over HTTP, judged before anything rests on them.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Manifest, RestoredList } from '@keyline/backup';
import { isSignedBy } from '@keyline/fleet';
import { KeylineError, messageOf } from '@keyline/kernel';
import { decodePem, parseCertificate, parseCrl } from '@keyline/x509';

const patience = 60_000;
/** Ten times the largest that performance.md speaks of. */
const mostBytes = 256 * 1024 * 1024;

/**
 * @param names of files, or http:// and https:// URLs
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, SERVICE_UNREACHABLE; PATH_INVALID for a list that none of the authorities signed
 */
export async function loadRestoredLists(
  cwd: string,
  names: readonly string[],
  { authorities, crlNumbers }: Pick<Manifest['database'], 'authorities' | 'crlNumbers'>,
): Promise<RestoredList[]> {
  const issuers = authorities
    .flatMap(({ id, certificate, root }) => [
      { id, der: certificate },
      { id: undefined, der: root },
    ])
    .map(({ id, der }) => ({ id, certificate: parseCertificate(Buffer.from(der, 'base64')) }));
  const lists: RestoredList[] = [];
  for (const name of names) {
    const der = derOf(name, await load(cwd, name));
    const crl = parsed(name, der);
    const issuer = issuers.find(({ certificate }) => isSignedBy(crl, certificate));
    if (issuer === undefined) {
      throw new KeylineError(
        'PATH_INVALID',
        `${name} is a CRL that none of the authorities in this backup signed, nor their roots. Give those that this Keyline published: /crl/ISSUER.crl of its plain HTTP address, or crl.pem of its Mosquitto.`,
      );
    }
    lists.push({ der, publishedAs: publishedAs(issuer.id, crl, crlNumbers) });
  }
  return lists;
}

/**
 * The file under which the service would have kept it as published, when it is newer than what the backup knows of that list.
 * @param authority that signed it; undefined: a root, whose lists are brought anew
 */
function publishedAs(
  authority: string | undefined,
  { distributionPoints, isDelta, number }: ReturnType<typeof parseCrl>,
  known: Readonly<Record<string, number>>,
): string | undefined {
  if (authority === undefined) return undefined;
  const named = /\/crl\/([a-z0-9-]{1,60})\.crl$/.exec(distributionPoints[0] ?? '')?.[1];
  const list = (named ?? authority).replace(/-delta$/, '');
  // A shard's name begins with that of its authority.
  if (!list.startsWith(authority) || number <= BigInt(known[list] ?? 0)) return undefined;
  return `${list}${isDelta ? '-delta' : ''}.crl`;
}

async function load(cwd: string, name: string): Promise<Buffer> {
  if (/^https?:\/\//i.test(name)) return fetchList(name);
  const file = resolve(cwd, name);
  try {
    return await readFile(file);
  } catch (cause) {
    const isAway = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new KeylineError(
      isAway ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      isAway ? `There is no CRL ${file}. Check --crl.` : `Can't read ${file}: ${messageOf(cause)}.`,
      { cause },
    );
  }
}

async function fetchList(url: string): Promise<Buffer> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(patience), redirect: 'error' });
    if (!answer.ok || answer.body === null) throw new Error(`HTTP ${String(answer.status)}`);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (bytes > mostBytes) throw new Error('it is too large for a CRL');
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    throw new KeylineError(
      'SERVICE_UNREACHABLE',
      `The CRL ${url} could not be fetched: ${messageOf(reason)}. Give a copy of it as a file, or leave --crl out.`,
      { cause },
    );
  }
}

function derOf(name: string, bytes: Buffer): Uint8Array {
  if (!bytes.subarray(0, 64).toString('latin1').includes('-----BEGIN')) return bytes;
  try {
    return decodePem(bytes.toString('latin1'), 'X509 CRL');
  } catch (cause) {
    throw notOne(name, cause);
  }
}

function parsed(name: string, der: Uint8Array): ReturnType<typeof parseCrl> {
  try {
    return parseCrl(der);
  } catch (cause) {
    throw notOne(name, cause);
  }
}

function notOne(name: string, cause: unknown): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${name} is no CRL (DER or PEM): ${messageOf(cause)}.`,
    {
      cause,
    },
  );
}
