CREATE VIRTUAL TABLE "rtree_{table}_{column}" USING rtree(id, minx, maxx, miny, maxy);
CREATE TRIGGER "rtree_{table}_{column}_insert" AFTER INSERT ON "{table}"
  WHEN (NEW."{column}" NOTNULL AND NOT ST_IsEmpty(NEW."{column}"))
BEGIN
  INSERT OR REPLACE INTO "rtree_{table}_{column}" VALUES (
    NEW."fid",
    ST_MinX(NEW."{column}"), ST_MaxX(NEW."{column}"),
    ST_MinY(NEW."{column}"), ST_MaxY(NEW."{column}")
  );
END;
CREATE TRIGGER "rtree_{table}_{column}_update2" AFTER UPDATE OF "{column}" ON "{table}"
  WHEN OLD."fid" = NEW."fid" AND (NEW."{column}" ISNULL OR ST_IsEmpty(NEW."{column}"))
BEGIN
  DELETE FROM "rtree_{table}_{column}" WHERE id = OLD."fid";
END;
CREATE TRIGGER "rtree_{table}_{column}_update4" AFTER UPDATE ON "{table}"
  WHEN OLD."fid" != NEW."fid" AND (NEW."{column}" ISNULL OR ST_IsEmpty(NEW."{column}"))
BEGIN
  DELETE FROM "rtree_{table}_{column}" WHERE id IN (OLD."fid", NEW."fid");
END;
CREATE TRIGGER "rtree_{table}_{column}_update5" AFTER UPDATE ON "{table}"
  WHEN OLD."fid" != NEW."fid" AND (NEW."{column}" NOTNULL AND NOT ST_IsEmpty(NEW."{column}"))
BEGIN
  DELETE FROM "rtree_{table}_{column}" WHERE id = OLD."fid";
  INSERT OR REPLACE INTO "rtree_{table}_{column}" VALUES (
    NEW."fid",
    ST_MinX(NEW."{column}"), ST_MaxX(NEW."{column}"),
    ST_MinY(NEW."{column}"), ST_MaxY(NEW."{column}")
  );
END;
CREATE TRIGGER "rtree_{table}_{column}_update6" AFTER UPDATE OF "{column}" ON "{table}"
  WHEN OLD."fid" = NEW."fid" AND (NEW."{column}" NOTNULL AND NOT ST_IsEmpty(NEW."{column}"))
    AND (OLD."{column}" NOTNULL AND NOT ST_IsEmpty(OLD."{column}"))
BEGIN
  UPDATE "rtree_{table}_{column}" SET
    minx = ST_MinX(NEW."{column}"), maxx = ST_MaxX(NEW."{column}"),
    miny = ST_MinY(NEW."{column}"), maxy = ST_MaxY(NEW."{column}")
  WHERE id = NEW."fid";
END;
CREATE TRIGGER "rtree_{table}_{column}_update7" AFTER UPDATE OF "{column}" ON "{table}"
  WHEN OLD."fid" = NEW."fid" AND (NEW."{column}" NOTNULL AND NOT ST_IsEmpty(NEW."{column}"))
    AND (OLD."{column}" ISNULL OR ST_IsEmpty(OLD."{column}"))
BEGIN
  INSERT INTO "rtree_{table}_{column}" VALUES (
    NEW."fid",
    ST_MinX(NEW."{column}"), ST_MaxX(NEW."{column}"),
    ST_MinY(NEW."{column}"), ST_MaxY(NEW."{column}")
  );
END;
CREATE TRIGGER "rtree_{table}_{column}_delete" AFTER DELETE ON "{table}"
  WHEN OLD."{column}" NOTNULL
BEGIN
  DELETE FROM "rtree_{table}_{column}" WHERE id = OLD."fid";
END;
