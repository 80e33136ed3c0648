import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { CURRENCIES } from './money.ts';

/** An amount of money in the minor unit of its ISO 4217 currency. */
export const money = z
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .describe('Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.');
/** A text in the form of an ISO 4217 code. Old documents and events stay readable when the list of currencies changes. */
export const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR');
/** A currency that new prices may have. */
export const pricingCurrency = z.enum(CURRENCIES, { error: 'must be an ISO 4217 currency such as EUR' });
/** An RFC 3339 time in UTC. */
export const timestamp = z.iso.datetime();
/** A product id of the shop, such as `mug-blue`. Ids are case-sensitive (services/decisions/0050-one-spelling.md). */
export const productId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must have 1 to 64 characters of A-Z a-z 0-9 _ -');
/** The body of a request without parameters. */
export const noBody = z.strictObject({});
/**
 * An id that Sidecart generates: UUIDv7, or a derived UUIDv8 or UUIDv5. The schema accepts capital letters (RFC 9562, 4) and
 * converts them, so that all code sees one spelling.
 */
export const id = z.uuid().toLowerCase();

/** Characters that are invisible or disguise a text. Joiners and variation selectors are allowed, because emoji need them. */
const HIDDEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]|(?![\u200c\u200d\p{Variation_Selector}])\p{Default_Ignorable_Code_Point}/u;
/** Characters that readers can see. The Braille blank (U+2800) is a symbol, but invisible. */
const VISIBLE = /(?!\u2800)[\p{L}\p{N}\p{P}\p{S}]/u;

/** A text that people write, such as a name or a reason: one line with visible characters. */
export const freeText = (maxLength: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(maxLength)
    // eslint-disable-next-line no-control-regex -- the check rejects control characters
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must have no control characters')
    .refine(
      (text) => text === '' || (!HIDDEN.test(text) && VISIBLE.test(text)),
      'must be visible, well-formed Unicode without invisible characters',
    );

const ADDRESS_HINT =
  "must be an address such as ada@example.com, with at most 64 ASCII letters, digits or .!#$%&'*+/=?^_`{|}~- before the @";
/**
 * An address of RFC 5321 (4.1.2) without quoted local parts and address literals, because some mail programs split them. Its
 * top-level domain follows RFC 5890 (services/decisions/0024-addresses-and-names.md).
 */
const ADDRESS =
  /^(?=[^@]{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])$/;
const ADDRESS_LENGTH = 254;
const UNICODE_DOMAIN = /^(?=.*\P{ASCII})[\p{L}\p{M}\p{N}.-]+$/u;

/**
 * Converts an address into its one spelling: lower-case ASCII letters, and a domain in its ASCII form (RFC 5891). An invalid
 * address stays invalid.
 */
function normalizeAddress(text: string): string {
  const domainAt = text.lastIndexOf('@') + 1;
  const domain = text.slice(domainAt);
  const ascii = UNICODE_DOMAIN.test(domain) ? domainToASCII(domain) : domain;
  // toLowerCase would convert other letters, such as the Kelvin sign, into ASCII letters.
  return (text.slice(0, domainAt) + ascii).replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

const normalized = z.string().trim().max(ADDRESS_LENGTH).overwrite(normalizeAddress);
/** An address that a user typed, in its one spelling. The schema does not check its form. */
export const typedAddress = normalized.meta({ format: 'email' });
/** An address that a user typed, in its one spelling and in a valid form. */
export const newAddress = normalized
  .max(ADDRESS_LENGTH)
  .refine((address) => ADDRESS.test(address), ADDRESS_HINT)
  .meta({ format: 'email' });
/** An address in its one spelling. */
export const emailAddress = z.email({ pattern: ADDRESS });

/**
 * An integer in a query or a path. Only decimal digits are accepted; `Number` would also accept an empty text, `5e0` and
 * `0x5`.
 */
export const inDigits = (schema: z.ZodInt) =>
  z.preprocess(
    (text) => (typeof text === 'string' && /^(0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : text),
    schema,
  );
