// The files with which a broker of targets.yaml is administered.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { platform } from 'node:os';
import { assertPrivate, isKeylineError, KeylineError, messageOf } from '@keyline/kernel';

export interface TargetCredentials {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Absolute files; what is left out is Keyline's own. */
export interface CredentialFiles {
  readonly name: string;
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** Said when the service starts, and not by a handshake that fails somewhere else. @throws {KeylineError} CONFIG_INVALID */
function assertPair(
  name: string,
  { cert, key }: { readonly cert: string | undefined; readonly key: string | undefined },
): void {
  if (cert === undefined || key === undefined) return;
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  } catch (cause) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `Certificate or key of the target "${name}" (targets.yaml) can't be read as PEM: ${messageOf(cause)}.`,
      { cause },
    );
  }
  throw new KeylineError(
    'CONFIG_INVALID',
    `Certificate and key of the target "${name}" (targets.yaml) do not belong together.`,
  );
}

/** Files of a target in targets.yaml; what is left out is Keyline's own. @throws {KeylineError} FILE_UNREADABLE */
export async function loadCredentials(
  { name, ca, certificate, key }: CredentialFiles,
  own: () => TargetCredentials,
): Promise<() => TargetCredentials> {
  const read = async (file: string | undefined, isSecret = false): Promise<string | undefined> => {
    if (file === undefined) return undefined;
    try {
      const handle = await open(file);
      try {
        if (isSecret) {
          const { mode } = await handle.stat();
          const what = `key of the target "${name}"`;
          assertPrivate({ path: file, what, mode, platform: platform() });
        }
        return await handle.readFile('utf8');
      } finally {
        await handle.close();
      }
    } catch (cause) {
      if (isKeylineError(cause)) throw cause;
      throw new KeylineError(
        'FILE_UNREADABLE',
        `The file ${file} of the target "${name}" (targets.yaml) can't be read: ${messageOf(cause)}.`,
        { cause },
      );
    }
  };
  const files = {
    ca: await read(ca),
    cert: await read(certificate),
    key: await read(key, true),
  };
  assertPair(name, files);
  return () => {
    const { ca: ownCa, cert: ownCert, key: ownKey } = own();
    return { ca: files.ca ?? ownCa, cert: files.cert ?? ownCert, key: files.key ?? ownKey };
  };
}
