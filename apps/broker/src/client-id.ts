// Which client ids an identity may use: without this, a device could end another's session and take its queued messages by name alone.
import { randomBytes } from 'node:crypto';

export interface ClientIdQuestion {
  /** The identity: the certificate's CN. */
  readonly name: string;
  /** As in the CONNECT packet; empty asks the broker to choose. */
  readonly requested: string;
  readonly isAdmin: boolean;
  /** Any client id that belongs to no other identity: what Mosquitto's users come with. */
  readonly choosesFreely?: boolean;
  /** dynsec's `clientid` of this client, when it has one: then only that. */
  readonly bound: string | undefined;
  /** Whether a name is an identity of its own, registered or administrative. */
  readonly isIdentity: (name: string) => boolean;
}

export type ClientIdAnswer =
  | { readonly clientId: string; readonly assigned: boolean }
  /** A sentence: why not. */
  | { readonly problem: string };

const longest = 256;

/**
 * `CN`, or `CN:suffix` for further connections. A device may itself be called `a:b`, so `a` may not use `a:b` or `a:b:x` as soon
 * as `a:b` is an identity: a client id belongs to the longest identity it begins with. Administrative identities may use any id
 * that begins with their name, and password clients any that is nobody's.
 */
export function decideClientId(question: ClientIdQuestion): ClientIdAnswer {
  const { name, requested, isAdmin, bound } = question;
  if (requested === '') {
    return bound === undefined
      ? { clientId: `${name}:${randomBytes(9).toString('base64url')}`, assigned: true }
      : { clientId: bound, assigned: true };
  }
  // JSON, so that a control character shows as what it is.
  const quoted = JSON.stringify(requested.slice(0, 100));
  if (bound !== undefined) {
    return requested === bound
      ? { clientId: bound, assigned: false }
      : { problem: `"${name}" is bound to the client id "${bound}" and asked for ${quoted}.` };
  }
  if (requested.length > longest) {
    return {
      problem: `The client id ${quoted}… of "${name}" is longer than ${longest} characters.`,
    };
  }
  if (/[/+#\p{Cc}]/u.test(requested)) {
    return {
      problem: `The client id ${quoted} of "${name}" holds "/", "+", "#" or a control character.`,
    };
  }
  if (requested === name) return { clientId: requested, assigned: false };
  const mayExtend =
    question.choosesFreely === true ||
    (isAdmin ? requested.startsWith(name) : requested.startsWith(`${name}:`));
  const other = mayExtend ? otherIdentity(question) : undefined;
  if (!mayExtend || other !== undefined) {
    const owner = other === undefined ? '' : `, which belongs to "${other}"`;
    return { problem: `"${name}" asked for the client id ${quoted}${owner}.` };
  }
  return { clientId: requested, assigned: false };
}

/** The identity that a client id, or a part of it up to a colon, is the name of: beyond the own name, where it begins with that. */
function otherIdentity({ name, requested, isIdentity }: ClientIdQuestion): string | undefined {
  if (isIdentity(requested)) return requested;
  const own = requested.startsWith(name) ? name.length + 1 : 0;
  for (let end = requested.indexOf(':', own); end !== -1;) {
    const prefix = requested.slice(0, end);
    if (isIdentity(prefix)) return prefix;
    end = requested.indexOf(':', end + 1);
  }
  return undefined;
}
