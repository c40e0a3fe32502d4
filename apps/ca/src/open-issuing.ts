// The issuing authority ready to sign: configuration, key, certificate, database. What `install` and `serve` both begin with.
import { loadConfig, type KeylineConfig } from '@keyline/config';
import type { FleetContext } from '@keyline/fleet';
import { systemClock } from '@keyline/kernel';
import { createSigner } from '@keyline/keys';
import { createIssuer, type Authority } from '@keyline/pki';
import { openSqliteStore } from '@keyline/store';
import { decodePem } from '@keyline/x509';
import {
  authorityFolderOf,
  loadAuthorityKey,
  loadSettings,
  readTextFile,
  urlsOf,
} from './authority-folder.ts';

export interface Issuing {
  readonly config: KeylineConfig;
  readonly authority: Authority;
  readonly certificateDer: Uint8Array;
  readonly rootDer: Uint8Array;
  readonly fleet: FleetContext;
  close(): Promise<void>;
}

/** @throws {KeylineError} CONFIG_INVALID, STORE_*, FILE_*, KEY_DECRYPT_FAILED, PATH_INVALID, LINT_FAILED */
export async function openIssuing(options: { data: string; config: string }): Promise<Issuing> {
  const config = await loadConfig(options.config);
  const folder = authorityFolderOf(options.data);
  const settings = await loadSettings(folder);
  const certificateDer = decodePem(await readTextFile(folder.certificate), 'CERTIFICATE');
  const rootDer = decodePem(await readTextFile(folder.root), 'CERTIFICATE');
  const authority: Authority = {
    id: settings.id,
    certificateDer,
    signer: createSigner(await loadAuthorityKey(folder, settings)),
    urls: urlsOf(settings),
  };
  const issuer = await createIssuer(authority, config.profiles);
  const store = await openSqliteStore({ path: folder.database });
  const { profiles, types, roles } = config;
  return {
    config,
    authority,
    certificateDer,
    rootDer,
    fleet: { store, issuer, clock: systemClock, profiles, types, roles },
    close: () => store.close(),
  };
}
