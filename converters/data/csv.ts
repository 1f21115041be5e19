/**
 * Reads comma-separated values with a header line, quoted fields included (RFC 4180): one record a line, by column.
 * Lines that are empty are skipped.
 */
export function parseCsv(text: string): { columns: string[]; rows: Record<string, string>[] } {
  const [columns = [], ...lines] = parseLines(text.replace(/^\uFEFF/, ''))
  const rows = lines
    .filter((fields) => fields.some((field) => field !== ''))
    .map((fields) => Object.fromEntries(columns.map((column, i) => [column.trim(), fields[i] ?? ''])))
  return { columns: columns.map((column) => column.trim()), rows }
}

function parseLines(text: string): string[][] {
  const lines: string[][] = []
  let line: string[] = []
  // A field is quoted or plain; what ends it is a comma, a line break or the end.
  const field = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/gy
  for (let match = field.exec(text); match !== null; match = field.exec(text)) {
    const [, value = '', end] = match
    line.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value)
    if (end === ',') continue
    lines.push(line)
    line = []
    if (end === '') break
  }
  return lines
}
