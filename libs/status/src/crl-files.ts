// The CRL behind a file name: `issuing-1.crl`, `issuing-1-delta.crl`, `issuing-1.full.crl` (without a distribution point), each also as PEM.
import type { Authorities } from '@keyline/authorities';
import type { Crl } from '@keyline/fleet';
import { createFullCrl } from '@keyline/pki';
import { encodePemInPieces, parseCrl, pemSize } from '@keyline/x509';
import type { CrlPublisher } from './crl-publisher.ts';

export interface CrlFile {
  /** The CRL it is made of, for its number and times. */
  readonly crl: Crl;
  /** Tells this file from others made of the same CRL. */
  readonly form: string;
  readonly type: 'application/pkix-crl' | 'application/x-pem-file';
  /** Content in order, made only when it is asked for. */
  readonly body: () => Promise<{
    readonly bytes: number;
    readonly pieces: Iterable<Uint8Array | string>;
  }>;
}

export interface CrlFiles {
  /** undefined: there is none of this name. */
  find(file: string): CrlFile | undefined;
}

const fileName = /^(.{1,60}?)(-delta|\.full)?\.crl(\.pem)?$/;
const label = 'X509 CRL';

export function createCrlFiles(options: {
  readonly crl: Pick<CrlPublisher, 'latest'>;
  readonly authorities: Pick<Authorities, 'all' | 'roots'>;
}): CrlFiles {
  const { crl, authorities } = options;
  /** Made, or being made; let go of with the CRL it is made of. */
  const full = new WeakMap<Crl, Promise<Pieces>>();

  function findFull(list: string): { of: Crl; pieces: () => Promise<Pieces> } | undefined {
    const of = crl.latest(list, 'complete');
    if (of === undefined) return undefined;
    const running = authorities.all().find(({ id }) => id === list);
    if (running !== undefined) {
      return { of, pieces: () => makeOnce(of, running.authority) };
    }
    // A root's key is elsewhere: what was brought is one already, or there is none. A shard's would say too much.
    const isRoot = authorities.roots().some(({ id }) => id === list);
    if (!isRoot || parseCrl(of.der).scope !== undefined) return undefined;
    return { of, pieces: () => Promise.resolve([of.der]) };
  }

  /** Signed when somebody asks for it, once for each CRL that is published: it costs nothing where nobody does. */
  function makeOnce(
    of: Crl,
    authority: Parameters<typeof createFullCrl>[0]['authority'],
  ): Promise<Pieces> {
    const known = full.get(of);
    if (known !== undefined) return known;
    const pieces = createFullCrl({ authority, crlDer: of.der });
    full.set(of, pieces);
    pieces.catch(() => full.delete(of));
    return pieces;
  }

  return {
    find(file) {
      const [, list = '', form = '', pem] = fileName.exec(file) ?? [];
      const found =
        form === '.full'
          ? findFull(list)
          : asPieces(crl.latest(list, form === '' ? 'complete' : 'delta'));
      if (found === undefined) return undefined;
      const { of, pieces } = found;
      const isPem = pem !== undefined;
      return {
        crl: of,
        form: `${form === '.full' ? '-full' : ''}${isPem ? '-pem' : ''}`,
        type: isPem ? 'application/x-pem-file' : 'application/pkix-crl',
        async body() {
          const content = await pieces();
          const bytes = content.reduce((sum, piece) => sum + piece.length, 0);
          return isPem
            ? { bytes: pemSize(label, bytes), pieces: encodePemInPieces(label, content) }
            : { bytes, pieces: content };
        },
      };
    },
  };
}

type Pieces = readonly Uint8Array[];

function asPieces(of: Crl | undefined): { of: Crl; pieces: () => Promise<Pieces> } | undefined {
  return of && { of, pieces: () => Promise.resolve([of.der]) };
}
