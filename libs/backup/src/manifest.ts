// What a backup says of itself: its first file, manifest.json. Whoever restores it judges it before anything else is written.
import { KeylineError } from '@keyline/kernel';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';

const manifestFormat = 'keyline-backup';
/** Of the archive. A program reads those up to its own. */
const manifestVersion = 1;

const open = { additionalProperties: true } as const;
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$' });

const DatabaseFacts = Type.Object(
  {
    /** Within the archive. */
    path: Type.String({ minLength: 1, maxLength: 1000 }),
    /** As the store counts its migrations. */
    schemaVersion: count,
    /** Names this database and its copies; null: it is of a version that gave none. */
    identity: Type.Union([Type.String({ minLength: 1, maxLength: 200 }), Type.Null()]),
    /** The last ledger entry of the copy, read from the copy itself. */
    ledger: Type.Object(
      {
        /** 0: the ledger is empty. */
        seq: count,
        /** RFC 3339. */
        at: Type.Union([instant, Type.Null()]),
        /** Of the columns at, actor, subject and data of that entry, as JSON text of one array. */
        sha256: Type.Union([sha256, Type.Null()]),
      },
      open,
    ),
    /** The highest number of each list (authority, shard or root), complete or delta. */
    crlNumbers: Type.Record(Type.String(), count),
    devices: count,
    certificates: count,
    /** Issuing authorities that have a certificate, and their roots: DER in base64. Each has its key in the archive. */
    authorities: Type.Array(
      Type.Object(
        { id: Type.String({ maxLength: 64 }), certificate: Type.String(), root: Type.String() },
        open,
      ),
      { maxItems: 10_000 },
    ),
  },
  open,
);

const ManifestSchema = Type.Object(
  {
    format: Type.Literal(manifestFormat),
    version: Type.Literal(manifestVersion),
    /** Of this backup alone. */
    id: Type.String({ minLength: 1, maxLength: 100 }),
    createdAt: instant,
    /** Of the program that made it. */
    keyline: Type.String({ minLength: 1, maxLength: 100 }),
    /** `plant`: the folder of `keyline up`. `ca`: the folder of a keyline-ca that runs by itself. */
    kind: Type.Union([Type.Literal('plant'), Type.Literal('ca')]),
    database: DatabaseFacts,
    /** Whether the folder of the root is in it. */
    root: Type.Boolean(),
    /** Whether the passphrase of the issuing keys is in it. */
    passphrase: Type.Boolean(),
    files: Type.Array(
      Type.Object(
        {
          /** With "/", relative to the data folder. */
          path: Type.String({ minLength: 1, maxLength: 1000 }),
          bytes: count,
          sha256,
          /** Permission bits. */
          mode: Type.Integer({ minimum: 0, maximum: 0o777 }),
        },
        open,
      ),
      { maxItems: 1_000_000 },
    ),
  },
  open,
);

export type Manifest = Static<typeof ManifestSchema>;

/**
 * Whoever has the public key of a recipient can make a file that opens: what it says is judged as any stranger's word.
 * @throws {KeylineError} FILE_UNREADABLE
 */
export function parseManifest(text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notOurs('its manifest is not JSON', cause);
  }
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === manifestFormat && typeof version === 'number' && version > manifestVersion) {
    throw new KeylineError(
      'STORE_STALE',
      `The backup has format ${String(version)}, and this Keyline knows ${String(manifestVersion)}. Use the version of Keyline that made it, or a newer one.`,
    );
  }
  if (!Value.Check(ManifestSchema, value)) {
    const [first] = Value.Errors(ManifestSchema, value);
    throw notOurs(
      `its manifest is not what Keyline writes${first === undefined ? '' : ` (${first.instancePath || '/'}: ${first.message})`}`,
    );
  }
  const seen = new Set<string>();
  for (const { path } of value.files) {
    if (!isPlainPath(path)) throw notOurs(`it names a file "${path.slice(0, 200)}"`);
    // On some file systems these would be one.
    const folded = path.toLowerCase();
    if (seen.has(folded)) throw notOurs(`it has two files "${path.slice(0, 200)}"`);
    seen.add(folded);
  }
  return value;
}

/** Below the folder wherever that is: no way up, no root, nothing a system reads differently. */
function isPlainPath(path: string): boolean {
  return (
    !/[\0\\:]/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

function notOurs(what: string, cause?: unknown): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `This is no backup of Keyline: ${what}. Nothing was written. Take another one.`,
    { cause },
  );
}
