# PostgreSQL's image runs this when its volume is new: a database and a user for each file of passwords.
for file in /passwords/*; do
  name=$(basename "$file")
  psql -v ON_ERROR_STOP=1 -v name="$name" -v password="$(cat "$file")" <<'SQL'
CREATE USER :"name" PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
