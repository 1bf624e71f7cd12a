// Creates, fills and queries a database in memory.

#include <sqlite3.h>
#include <stdio.h>

static const char *const STATEMENTS[] = {
    "CREATE TABLE planet(id INTEGER PRIMARY KEY, name TEXT UNIQUE, mass REAL)",
    "INSERT INTO planet(name, mass) VALUES ('Mercury', 0.055), ('Venus', 0.815), ('Earth', 1), ('Mars', 0.107)",
    "CREATE INDEX by_mass ON planet(mass)",
    "SELECT count(*), round(sum(mass), 3), group_concat(name) FROM planet",
    "SELECT name FROM planet WHERE mass > 0.1 ORDER BY mass DESC",
    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT sum(i * i) FROM n",
    "SELECT json_extract('{\"a\": [1, {\"b\": \"deep\"}]}', '$.a[1].b'), round(ln(10), 6), hex('bytes')",
    "SELECT name, rank() OVER (ORDER BY mass) FROM planet ORDER BY id",
    "INSERT INTO planet(name) VALUES ('Earth')",
    "BEGIN; DELETE FROM planet; ROLLBACK; SELECT count(*) FROM planet",
    "CREATE VIRTUAL TABLE note USING fts5(body)",
    "INSERT INTO note VALUES ('the quick brown fox'), ('the lazy dog')",
    "SELECT body FROM note WHERE note MATCH 'qui* NOT dog'",
    "PRAGMA integrity_check",
};

static int print(void *unused, int count, char **values, char **names) {
    (void)unused;
    for (int i = 0; i < count; i++)
        printf("%s=%s ", names[i], values[i] ? values[i] : "NULL");
    puts("");
    return 0;
}

int main(void) {
    sqlite3 *database;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK)
        return 1;
    for (unsigned i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++) {
        char *error = 0;
        sqlite3_exec(database, STATEMENTS[i], print, 0, &error);
        if (error)
            printf("error: %s\n", error);
        sqlite3_free(error);
    }
    return sqlite3_close(database);
}
