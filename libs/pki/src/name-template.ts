// Names with placeholders, as profiles write them: `{id}`, `{type}`, `{batch}`, `{label.NAME}`.
import { KeylineError } from '@keyline/kernel';
import type { IssueRequest } from './ports.ts';

/** Renders the text; undefined when one of its placeholders is empty. */
export type NameTemplate = (
  request: IssueRequest,
  escape?: (value: string) => string,
) => string | undefined;

type Source = (request: IssueRequest) => string | undefined;

function sourceOf(placeholder: string, context: string): Source {
  if (placeholder === 'id') return ({ id }) => id;
  if (placeholder === 'type') return ({ type }) => type;
  if (placeholder === 'batch') return ({ batch }) => batch;
  const label = /^label\.([A-Za-z0-9_.-]{1,64})$/.exec(placeholder)?.[1];
  if (label === undefined) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `The profile ${context} has the placeholder "{${placeholder}}". Known are {id}, {type}, {batch} and {label.NAME}.`,
    );
  }
  return ({ labels }) =>
    labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;
}

/**
 * @param context the profile's name, for messages
 * @throws {KeylineError} PROFILE_VIOLATION for an unknown placeholder or a lone brace
 */
export function compileNameTemplate(template: string, context: string): NameTemplate {
  const parts: (string | Source)[] = template
    .split(/(\{[^{}]*\})/)
    .filter((part) => part !== '')
    .map((part) =>
      part.startsWith('{') && part.endsWith('}') ? sourceOf(part.slice(1, -1), context) : part,
    );
  if (parts.length === 0 || parts.some((part) => typeof part === 'string' && /[{}]/.test(part))) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `The profile ${context} has the name "${template}", which is empty or has a brace without its partner.`,
    );
  }
  return (request, escape) => {
    let text = '';
    for (const part of parts) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      const value = part(request);
      if (value === undefined || value === '') return undefined;
      text += escape === undefined ? value : escape(value);
    }
    return text;
  };
}

/** Percent-encodes what may not stand in a URI's path segment (RFC 3986 §3.3); the id `ca@keyline` stays as it is. */
export function escapeUriSegment(value: string): string {
  if (/^[A-Za-z0-9\-._~!$&'()*+,;=:@]*$/.test(value)) return value;
  return encodeURIComponent(value.toWellFormed()).replace(
    /%(?:24|26|2B|2C|3B|3D|3A|40)/g,
    decodeURIComponent,
  );
}
