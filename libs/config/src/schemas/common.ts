// Shapes that several configuration files share, and the names their schemas are published under.
import { Type } from 'typebox';

/** Names of profiles, roles and device types: they appear in URLs, alert keys and file names. */
export const NameSchema = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
  description: 'Lower-case letters, digits and "-", at most 64.',
});

export const DescriptionSchema = Type.String({
  minLength: 1,
  maxLength: 400,
  description: 'One sentence for people.',
});

export function duration(description: string) {
  return Type.String({
    format: 'duration',
    maxLength: 40,
    description: `${description} For instance 90d, 12h, 10m; ISO 8601 (P90D) is taken too.`,
  });
}

export function wholeNumber(
  description: string,
  limits: { readonly minimum: number; readonly maximum: number },
) {
  return Type.Integer({ ...limits, description });
}
