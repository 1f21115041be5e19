// Sorting, filtering, the theme and copying. Every page is complete without this script; it only reveals the
// controls that need it.

const root = document.documentElement
const themeButton = document.querySelector('[data-theme-toggle]')
const dark = () =>
  root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches

themeButton.hidden = false
const nameTheme = () => {
  themeButton.textContent = dark() ? 'Light theme' : 'Dark theme'
}
nameTheme()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', nameTheme)
themeButton.addEventListener('click', () => {
  root.dataset.theme = dark() ? 'light' : 'dark'
  try {
    localStorage.setItem('zoo-theme', root.dataset.theme)
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  nameTheme()
})

for (const button of document.querySelectorAll('[data-copy]')) {
  if (!navigator.clipboard) break
  button.hidden = false
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector('code').textContent)
    button.textContent = 'Copied'
    setTimeout(() => {
      button.textContent = 'Copy'
    }, 1500)
  })
}

for (const table of document.querySelectorAll('table.board[data-sortable]')) makeSortable(table)

function makeSortable(table) {
  const body = table.tBodies[0]
  for (const header of table.tHead.rows[0].cells) {
    if (!header.dataset.sort) continue
    const button = document.createElement('button')
    button.type = 'button'
    button.append(...header.childNodes)
    header.append(button)
    button.addEventListener('click', () => {
      const first = header.dataset.sort
      const turned = first === 'ascending' ? 'descending' : 'ascending'
      const order = header.getAttribute('aria-sort') === first ? turned : first
      for (const other of header.parentElement.cells) other.removeAttribute('aria-sort')
      header.setAttribute('aria-sort', order)
      sortRows(body, header.cellIndex, order === 'ascending' ? 1 : -1)
    })
  }
}

/** Cells carry what they sort by in data-value; cells without come last in either order. */
function sortRows(body, column, direction) {
  const value = (row) => row.cells[column].dataset.value ?? ''
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)]
    if (x === '' || y === '') return Number(x === '') - Number(y === '')
    const numbers = !Number.isNaN(Number(x)) && !Number.isNaN(Number(y))
    return direction * (numbers ? Number(x) - Number(y) : x.localeCompare(y))
  })
  body.append(...rows)
}

const controls = document.querySelector('form.controls')
if (controls) {
  const rows = [...document.querySelectorAll('table.board[data-sortable] tbody tr')]
  const count = controls.querySelector('output')
  controls.hidden = false
  controls.addEventListener('submit', (event) => event.preventDefault())
  controls.addEventListener('input', filter)
  function filter() {
    const words = controls.elements.words.value.toLowerCase().split(/\s+/)
    const facets = [...controls.querySelectorAll('select')].filter((select) => select.value)
    const unflagged = controls.elements.unflagged?.checked
    let shown = 0
    for (const row of rows) {
      const text = `${row.textContent} ${row.dataset.words}`.toLowerCase()
      row.hidden =
        !words.every((word) => text.includes(word)) ||
        !facets.every((select) => row.dataset[select.name] === select.value) ||
        (unflagged && row.dataset.flags !== '0')
      if (!row.hidden) shown++
    }
    count.value = shown === rows.length ? `${shown} models` : `${shown} of ${rows.length} models`
  }
  filter()
}
