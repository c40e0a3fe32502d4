// Enrollment tokens and API tokens: random, shown once, stored as a hash.
import { hash, randomBytes } from 'node:crypto';
import { createId, Duration, KeylineError, Secret } from '@keyline/kernel';
import { actorOf, entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, getTypeDetails, type FleetContext } from './context.ts';
import type { ApiToken, ApiTokenRole, EnrollmentToken, Labels } from './model.ts';

/** SHA-256, lower-case hex. The secrets are 256 random bits, so a plain hash is not guessable. */
export function hashToken(secret: string): string {
  return hash('sha256', secret, 'hex');
}

function createSecret(prefix: string): Secret {
  return new Secret(`${prefix}_${randomBytes(32).toString('base64url')}`);
}

export interface CreateEnrollmentTokenCommand {
  readonly caller: Caller;
  readonly description: string;
  readonly type: string;
  readonly idPattern: string | null;
  readonly maxUses: number;
  readonly labels: Labels;
  /** Milliseconds. */
  readonly lifetime: number;
}

const longestEnrollmentToken = Duration.days(366);
const longestApiToken = Duration.days(366);

/** @throws {KeylineError} DEVICE_TYPE_UNKNOWN, VALIDITY_NOT_ALLOWED */
export async function createEnrollmentToken(
  context: FleetContext,
  command: CreateEnrollmentTokenCommand,
): Promise<{ token: EnrollmentToken; secret: Secret }> {
  getTypeDetails(context, command.type);
  assertLifetime(command.lifetime, longestEnrollmentToken);
  const now = context.clock.now();
  const secret = createSecret('kle');
  const token: EnrollmentToken = {
    id: createId('tok'),
    secretHash: hashToken(secret.reveal()),
    description: command.description,
    idPattern: command.idPattern,
    type: command.type,
    labels: command.labels,
    maxUses: command.maxUses,
    uses: 0,
    expiresAt: now + command.lifetime,
    createdAt: now,
    createdBy: actorOf(command.caller),
    revokedAt: null,
  };
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'insert-token', token }],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: { kind: 'token-created', token: token.id, use: 'enroll' },
        },
      ],
    },
    conflict,
  );
  return { token, secret };
}

/** @throws {KeylineError} FORBIDDEN, VALIDITY_NOT_ALLOWED */
export async function createApiToken(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly description: string;
    readonly role: ApiTokenRole;
    readonly lifetime: number;
  },
): Promise<{ token: ApiToken; secret: Secret }> {
  if (command.caller.role !== 'admin') {
    throw new KeylineError('FORBIDDEN', 'Only an admin may create API tokens.');
  }
  assertLifetime(command.lifetime, longestApiToken);
  const now = context.clock.now();
  const secret = createSecret('kla');
  const token: ApiToken = {
    id: createId('api'),
    secretHash: hashToken(secret.reveal()),
    description: command.description,
    role: command.role,
    expiresAt: now + command.lifetime,
    createdAt: now,
    createdBy: actorOf(command.caller),
    revokedAt: null,
  };
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'insert-api-token', token }],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: { kind: 'token-created', token: token.id, use: 'api' },
        },
      ],
    },
    conflict,
  );
  return { token, secret };
}

/** Either kind, told apart by the id's prefix. Idempotent. @throws {KeylineError} NOT_FOUND, FORBIDDEN */
export async function revokeToken(
  context: FleetContext,
  command: { readonly caller: Caller; readonly id: string },
): Promise<EnrollmentToken | ApiToken> {
  const { caller, id } = command;
  const now = context.clock.now();
  const use = id.startsWith('api_') ? 'api' : 'enroll';
  if (use === 'api' && caller.role !== 'admin') {
    throw new KeylineError('FORBIDDEN', 'Only an admin may revoke API tokens.');
  }
  await commitOrThrow(
    context,
    {
      writes: [{ op: use === 'api' ? 'revoke-api-token' : 'revoke-token', id, at: now }],
      entries: [{ at: now, ...entryBy(caller), data: { kind: 'token-revoked', token: id, use } }],
    },
    (failure) => new KeylineError(failure.code, `There is no token "${id}".`),
  );
  const token =
    use === 'api' ? await context.store.findApiToken(id) : await context.store.findToken(id);
  if (token === undefined) throw new KeylineError('INTERNAL', `The token "${id}" is gone.`);
  return token;
}

function assertLifetime(lifetime: number, longest: number): void {
  // Said so that NaN is refused, too.
  if (!(lifetime >= Duration.seconds(1) && lifetime <= longest)) {
    throw new KeylineError(
      'VALIDITY_NOT_ALLOWED',
      `A token may live from 1 second to ${String(longest / Duration.days(1))} days.`,
    );
  }
}
