// What brokers of this machine are told in files (docs/decisions/0008-who-is-let-in.md): whose clients to let in, and with which key the
// service administers them. Each is written before the first use of what is new in it.
import { existsSync, readFileSync } from 'node:fs';
import type { Authorities } from '@keyline/authorities';
import { replaceFileAtOnce } from '@keyline/files';
import type { CaFolder } from './ca-folder.ts';
import { trustPems } from './tls-identity.ts';

export interface BrokerFiles {
  /** The authorities as they are now. */
  announceAuthorities(authorities: Pick<Authorities, 'all' | 'trust'>): void;
  /** PEM, with or without its chain. The one before stays in the file: its connection goes on until the next. */
  announceAdmin(certificatePem: string): void;
}

export function createBrokerFiles(
  folder: Pick<CaFolder, 'brokerAdmin' | 'clientAuthorities'>,
  { shared = false }: { readonly shared?: boolean } = {},
): BrokerFiles {
  let admins: readonly string[] = [];
  let authoritiesText = '';
  return {
    announceAuthorities(authorities) {
      // A retired one still has clients; of a revoked one nobody is let in.
      const trusted = authorities.all().filter(({ state }) => state !== 'revoked');
      // A root lets in nobody but those it has signed itself, and it signs no clients.
      const text = trusted.map(({ pem }) => pem).join('') || trustPems(authorities).join('');
      if (text === authoritiesText) return;
      replaceFileAtOnce(folder.clientAuthorities, text);
      authoritiesText = text;
    },
    announceAdmin(certificatePem) {
      const [leaf] = firstCertificate.exec(certificatePem) ?? [''];
      if (admins.at(-1) === leaf) return;
      const kept = [...admins, leaf].slice(-2);
      // Services that share the folder: the newest few of all of them.
      const others = shared ? certificatesIn(folder.brokerAdmin) : [];
      const all = [...others.filter((one) => !kept.includes(one)).slice(-mostOfOthers), ...kept];
      replaceFileAtOnce(folder.brokerAdmin, all.join(''));
      admins = kept;
    },
  };
}

const mostOfOthers = 4;

function certificatesIn(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').match(new RegExp(firstCertificate, 'g')) ?? [];
}

const firstCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/;
