/** HTML that is safe to send, because every value in it is escaped. */
export interface Html {
  readonly html: string;
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const render = (value: string | number | Html | readonly Html[]): string => {
  if (Array.isArray(value)) return value.map(render).join('\n');
  if (typeof value === 'object') return (value as Html).html;
  return String(value).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
};

/** A template literal that escapes every value except `Html`. */
export function html(
  parts: TemplateStringsArray,
  ...values: (string | number | Html | readonly Html[])[]
): Html {
  return { html: String.raw({ raw: parts }, ...values.map(render)) };
}
